"""lustre_exporter (HewlettPackard's and GSI's) on Lustre's servers: one series per target, and per job id and target.

Values are in base units already. What differs between the exporters does not matter here: HPE's shows jobs that have
done nothing as 0, GSI's leaves them out (2.1.0), so a job's first bytes before the second scrape are in no rate; HPE's
fails the scrape of a server on job ids that it does not understand, GSI's knows more of them with each release; space
is in metrics of different names, which are not read. whamcloud's lustrefs-exporter has the same job series.

A counter starts anew when the server forgets an idle job, and on another server when a target fails over: rates are
taken of each series and added up then. Data on MDTs (DoM) are in no job's bytes. Job series are on both kinds of
target: metadata operations are those of MDTs alone. The file system is cut from the target's name at its last `-OST` or
`-MDT`.
"""

from collections.abc import Mapping
from dataclasses import replace

from aggregator.sources.prometheus.client import Matcher
from aggregator.sources.prometheus.graphs import JOB, LABELS, OURS, TARGET, Graph, Series
from aggregator.sources.prometheus.inputs import Input

# More senders than this are added up as unknown; a big site has some ten thousand jobs.
MOST_SENDERS = 50_000
TOP_USERS = 20
HIGHEST_BYTES, HIGHEST_OPERATIONS = 1e15, 1e12
OST: Matcher = ("component", "=", "ost")
MDT: Matcher = ("component", "=", "mdt")
DIRECTIONS = ("read", "write")
# What tells one series of a server from another, whatever Prometheus has put on it; a target that fails over has two.
_IDENTITY = "instance, target, jobid, operation, user, account"
JOB_BYTES = {each: Series(f"lustre_job_{each}_bytes_total", (OST,)) for each in DIRECTIONS}
JOB_OPERATIONS = {"operations": Series("lustre_job_stats_total", (MDT,))}


def by_filesystem(vector: str) -> str:
    """Add the label filesystem to each series."""
    return f'label_replace({vector}, "filesystem", "$$1", "target", "(.+)-(?:OST|MDT).*")'


def rate_of(series: str) -> str:
    """Write the rate of each series of a name of the template, with its file system, once for all copies of it."""
    return by_filesystem(f"max by ({_IDENTITY}) (rate(${series}[$window]))")


def _input(name: str, metric: str, matcher: Matcher, high: float) -> Input:
    return Input(
        name=name,
        metric=metric,
        expression=f"topk({MOST_SENDERS}, sum by (jobid, filesystem, user, account) ({rate_of('own')}))",
        selectors={"own": matcher},
        high=high,
    )


def whole(item: Input) -> Input:
    """Ask for what all senders of an input have together, those beyond the cap as well."""
    return replace(item, expression=f"sum by (filesystem) ({rate_of('own')})")


INPUTS = (
    _input("read", "lustre_job_read_bytes_total", OST, HIGHEST_BYTES),
    _input("write", "lustre_job_write_bytes_total", OST, HIGHEST_BYTES),
    _input("metadata", "lustre_job_stats_total", MDT, HIGHEST_OPERATIONS),
)
# The share of the targets of the last hour that are seen now, on whichever server.
COVERAGE = Input(
    name="coverage",
    metric="lustre_inodes_maximum",
    expression=f"count by (filesystem) (group by (filesystem, target) ({by_filesystem('$own')}))"
    f" / count by (filesystem) (group by (filesystem, target) ({by_filesystem('count_over_time($own[1h])')}))",
    selectors={"own": ("component", "=~", "ost|mdt")},
    high=1.0,
)


def bandwidth(by: Mapping[str, str], vectors: Mapping[str, str], series: Mapping[str, Series]) -> Graph:
    """Draw what is read and written: one vector for each direction."""
    return Graph(
        name="lustre_bandwidth", help="Bytes read and written, by direction.", unit="bytes per second", by=by,
        series=series, high=HIGHEST_BYTES, job_label="jobid",
        expression=" or ".join(
            f'label_replace({vector}, "direction", "{each}", "", "")' for each, vector in vectors.items()
        ),
    )  # fmt: skip


def metadata(by: Mapping[str, str], vector: str, series: Mapping[str, Series]) -> Graph:
    """Draw metadata operations; one that does not happen has no line, as there are twenty of them."""
    return Graph(
        name="lustre_metadata", help="Metadata operations on MDTs; those that do not happen have no line.",
        unit="operations per second", by=by, series=series, expression=f"{vector} > 0", high=HIGHEST_OPERATIONS,
        job_label="jobid",
    )  # fmt: skip


def sums_of(series: Mapping[str, Series], by: str) -> Mapping[str, str]:
    """Write the sum of the rates of each series by labels."""
    return {name: f"sum by ({by}) ({rate_of(name)})" for name in series}


def top_users(name: str, help_text: str, unit: str, vector: str, series: Mapping[str, Series], by: str) -> Graph:
    """Draw the users who do most on a file system over the whole range, and the others as one."""
    return Graph(
        name=name, help=help_text, unit=unit, by={"filesystem": by}, series=series, expression=vector,
        high=max(HIGHEST_BYTES, HIGHEST_OPERATIONS), top=TOP_USERS, folded="user",
    )  # fmt: skip


_OF_TARGETS = {"filesystem": TARGET, "cluster": LABELS}
_TARGET_BYTES = {each: Series(f"lustre_{each}_bytes_total", (OST,)) for each in DIRECTIONS}
_TARGET_OPERATIONS = {"operations": Series("lustre_stats_total", (MDT,))}
# What is on the series of both the exporter and the proxy.
SHARED = (
    bandwidth({"job": JOB}, sums_of(JOB_BYTES, "$job, filesystem"), JOB_BYTES),
    metadata({"job": JOB}, f"sum by ($job, filesystem, operation) ({rate_of('operations')})", JOB_OPERATIONS),
    bandwidth(_OF_TARGETS, sums_of(_TARGET_BYTES, "filesystem"), _TARGET_BYTES),
    metadata(_OF_TARGETS, f"sum by (filesystem, operation) ({rate_of('operations')})", _TARGET_OPERATIONS),
)

# The exporter knows no user: the service's own gauges do, where Prometheus scrapes the service.
_GAUGES = {
    each: Series(f"hpc_user_lustre_{each}_bytes_per_second", by=OURS) for each in DIRECTIONS
}  # fmt: skip
_METADATA = Series("hpc_user_lustre_metadata_operations_per_second", by=OURS)


def _gauges(by: str) -> Mapping[str, str]:
    """Write the sums of the own gauges: replicas of the service show the same, and count once."""
    return {each: f"sum by ({by}) (max by (user, account, filesystem) (${each}_mean))" for each in DIRECTIONS}


def _of_gauges(subject: str, by: str) -> tuple[Graph, ...]:
    operations = f"sum by ({by}) (max by (user, account, filesystem) ($operations_mean))"
    return (
        bandwidth({subject: LABELS}, _gauges(by), _GAUGES),
        metadata({subject: LABELS}, operations, {"operations": _METADATA}),
    )


_TOP = "sum by (user) (max by (user, account, filesystem) ($rates_mean))"
GRAPHS = (
    *SHARED,
    *_of_gauges("user", "account, filesystem"),
    *_of_gauges("account", "user, filesystem"),
    *(
        top_users(
            f"lustre_users_{each}",
            f"Bytes {text}, by user.",
            "bytes per second",
            _TOP,
            {"rates": _GAUGES[each]},
            LABELS,
        )
        for each, text in (("read", "read"), ("write", "written"))
    ),
    top_users(
        "lustre_users_metadata",
        "Metadata operations, by user.",
        "operations per second",
        _TOP,
        {"rates": _METADATA},
        LABELS,
    ),
)
