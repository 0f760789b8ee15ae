"""Lustre on the pages of jobs (C4), users (C8), accounts (C9), top users (C11) and file systems (C15).

The portal's recorded series are written out as their rules have them, with our window. Of top users ours has a line for
each user, where the portal has one for each of the user's accounts: they are added up.
"""

from tests.catalogue.entry import Entry

_MIB = 2.0**20
_JOB = "clusters/lab/jobs/$JOB/series"
_USER = "clusters/lab/users/$USER/series"
_ACCOUNT = "clusters/lab/accounts/$ACCT/series"
_FILESYSTEM = "storage/$FS/series"
_FS = {"filesystem": "fs"}
_PROXIED = {"filesystem": "scratch"}
_UNPROXIED = "Ours also has the file systems whose servers are scraped without the proxy."
_DIRECTIONS = ("read", "write")
_BY_TARGET = (
    'sum(label_replace(rate({metric}{{component="{kind}", $F}}[$window]),'
    ' "fs", "$$1", "target", "(.*)-{kind_upper}.*")) by ({by})'
)
# A file system of one exporter's own name, for a selector cannot follow an expression.
_OF = ' and on (fs) label_replace(vector(1), "fs", "{fs}", "", "")'


def _whole(metric: str, kind: str, by: str, filesystem: str) -> str:
    rule = _BY_TARGET.format(metric=metric, kind=kind, kind_upper=kind.upper(), by=by)
    return f"({rule}{_OF.format(fs=filesystem)})"


def _user_rule(metric: str, more: str = "") -> str:
    return f'sum by (user,fs,cluster,account) (rate({metric}{{{more}fs="$FS", user!="root", $F}}[$window]))'


ENTRIES = (
    # Series without fs are skipped by the page: they are those of file systems that are not behind the proxy.
    Entry(
        id="JL1", path=_JOB, metric="lustre_metadata", labels={**_FS, "operation": "operation"}, only=_PROXIED,
        portal='sum(rate(lustre_job_stats_total{component="mdt", jobid=~"$JOB", fs!="", $F}[$window]))'
        " by (operation, fs, jobid) != 0",
    ),
    *(
        Entry(
            id="JL2", path=_JOB, metric="lustre_bandwidth", labels={**_FS, "slurmjobid": "jobid"}, factor=_MIB,
            only={**_PROXIED, "direction": rw},
            portal=f'(sum(rate(lustre_job_{rw}_bytes_total{{component="ost", jobid=~"$JOB", target=~".*-OST.*",'
            ' fs!="", $F}[$window])) by (fs, jobid)) / (1024*1024)',
        )
        for rw in _DIRECTIONS
    ),
    Entry(
        id="US7", path=_USER, metric="lustre_metadata", labels={**_FS, "operation": "operation"}, only=_PROXIED,
        note=_UNPROXIED,
        portal='sum(rate(lustre_job_stats_total{component=~"mdt", user=~"$USER", $F}[$window]))'
        " by (operation, fs) != 0",
    ),
    *(
        Entry(
            id="US8", path=_USER, metric="lustre_bandwidth", labels=_FS, factor=_MIB,
            only={**_PROXIED, "direction": rw}, note=_UNPROXIED,
            portal=f'(sum(rate(lustre_job_{rw}_bytes_total{{component=~"ost", user=~"$USER", target=~".*-OST.*", $F}}'
            "[$window])) by (fs)) / (1024*1024)",
        )
        for rw in _DIRECTIONS
    ),
    Entry(
        id="AC8", path=_ACCOUNT, metric="lustre_metadata", labels={**_FS, "user": "user"}, only=_PROXIED,
        note=_UNPROXIED,
        portal='sum(rate(lustre_job_stats_total{component=~"mdt", account=~"$ACCT", $F}[$window])) by (user, fs) != 0',
    ),
    *(
        Entry(
            id="AC9", path=_ACCOUNT, metric="lustre_bandwidth", labels={**_FS, "user": "user"}, factor=_MIB,
            only={**_PROXIED, "direction": rw}, note=_UNPROXIED,
            portal=f'(sum(rate(lustre_job_{rw}_bytes_total{{component=~"ost", account=~"$ACCT", target=~".*-OST.*",'
            " $F}[$window])) by (user, fs)) / (1024*1024)",
        )
        for rw in _DIRECTIONS
    ),
    Entry(
        id="TP13", path=_FILESYSTEM, metric="lustre_users_metadata", labels={"user": "user"},
        portal=f"topk(20, {_user_rule('lustre_job_stats_total')})",
        differs="the rule adds operations on OSTs (punch, sync), which are no metadata; topk of each step draws more"
        " than 20 lines (part D, 21)",
    ),
    Entry(
        id="TP13", path=_FILESYSTEM, metric="lustre_users_metadata", labels={"user": "user"},
        portal=f"""sum by (user) (topk(20, {_user_rule('lustre_job_stats_total', 'component="mdt", ')}))""",
    ),
    *(
        Entry(
            id="TP14", path=_FILESYSTEM, metric=f"lustre_users_{rw}", labels={"user": "user"}, factor=_MIB,
            portal=f"sum by (user) (topk(20, {_user_rule(f'lustre_job_{rw}_bytes_total')}) / 1024/1024)",
        )
        for rw in _DIRECTIONS
    ),
    *(
        Entry(
            id="PG1", path=f"storage/{filesystem}/series", metric="lustre_metadata", labels={"operation": "operation"},
            portal=f"sum({_whole('lustre_stats_total', 'mdt', 'fs,operation,cluster', filesystem)})"
            " by (operation) != 0",
        )
        for filesystem in ("$FS", "project")
    ),
    *(
        Entry(
            id="PG2", path=f"storage/{filesystem}/series", metric="lustre_bandwidth", labels=_FS,
            only={"direction": rw}, portal=_whole(f"lustre_{rw}_bytes_total", "ost", "fs, cluster", filesystem),
        )
        for filesystem in ("$FS", "project")
        for rw in _DIRECTIONS
    ),
)  # fmt: skip
