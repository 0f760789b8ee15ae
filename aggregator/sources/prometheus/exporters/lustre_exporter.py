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
from typing import TypedDict

from aggregator.sources.prometheus.client import Matcher
from aggregator.sources.prometheus.graphs import CLUSTER, JOB, LABELS, OURS, TARGET, Graph, Series, slopes
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


class _Sums(TypedDict):
    """What a graph declares of the series that it adds up, and when the sums are known."""

    series: Mapping[str, Series]
    there: str
    there_by: str


# What tells the series of one counter apart, whichever server has its target and however many replicas keep it.
_EACH = "user, account, filesystem, target"
# The targets that are seen: while they are, and one has no series, it does nothing.
_TARGETS = {"targets": Series("lustre_inodes_maximum", (("component", "=~", "ost|mdt"),), by=CLUSTER)}


def summed(series: str, by: str, each: str = "", per: str = "filesystem") -> str:
    """Write the sum of the slopes of a counter by labels; `each` tells its series apart beside target and owner.

    Where all of a file system was observed what has come and gone counts as long as it was there; with `per` whether
    it was is asked of what has these labels alone.
    """
    labels = f"{_EACH}{each}"
    return slopes(lambda slope: f"sum by ({by}) (max by ({labels}) ({slope}))", series, per, labelled=by_filesystem)


def bandwidth(by: Mapping[str, str], vectors: Mapping[str, str], series: Mapping[str, Series]) -> Graph:
    """Draw what is read and written: one vector for each direction."""
    return Graph(
        name="lustre_bandwidth", help="Bytes read and written, by direction.", unit="bytes per second", by=by,
        high=HIGHEST_BYTES, job_label="jobid", **_while_seen(series, *vectors.values()),
        expression=" or ".join(
            f'label_replace({vector}, "direction", "{each}", "", "")' for each, vector in vectors.items()
        ),
    )  # fmt: skip


def metadata(by: Mapping[str, str], vector: str, series: Mapping[str, Series]) -> Graph:
    """Draw metadata operations; one that does not happen has no line, as there are twenty of them."""
    return Graph(
        name="lustre_metadata", help="Metadata operations on MDTs; those that do not happen have no line.",
        unit="operations per second", by=by, expression=f"{vector} > 0", high=HIGHEST_OPERATIONS, job_label="jobid",
        **_while_seen(series, vector),
    )  # fmt: skip


def _while_seen(series: Mapping[str, Series], *vectors: str, by: str = "filesystem") -> _Sums:
    """Say when a file system was observed; of our own gauges the means are over the time in which they were there."""
    if not any("$window" in vector for vector in vectors):
        return {"series": series, "there": "", "there_by": ""}
    seen = (by_filesystem("$targets_now"), *vectors)
    there = " or ".join(f"group by ({by}) ({each})" for each in seen)
    return {"series": {**series, **_TARGETS}, "there": there, "there_by": by}


def sums_of(series: Mapping[str, Series], by: str, each: str = "", per: str = "filesystem") -> Mapping[str, str]:
    """Write the sum of the slopes of each series by labels."""
    return {name: summed(name, by, each, per) for name in series}


def top_users(name: str, help_text: str, unit: str, vector: str, series: Mapping[str, Series], by: str) -> Graph:
    """Draw the users who do most on a file system over the whole range, and the others as one."""
    return Graph(
        name=name, help=help_text, unit=unit, by={"filesystem": by}, expression=vector,
        high=max(HIGHEST_BYTES, HIGHEST_OPERATIONS), top=TOP_USERS, folded="user", job_label="jobid",
        **_while_seen(series, vector, by=""),
    )  # fmt: skip


_OF_TARGETS = {"filesystem": TARGET, "cluster": LABELS}
_TARGET_BYTES = {each: Series(f"lustre_{each}_bytes_total", (OST,)) for each in DIRECTIONS}
_TARGET_OPERATIONS = {"operations": Series("lustre_stats_total", (MDT,))}
_OF_JOB = "$job, filesystem"
# What is on the series of both the exporter and the proxy.
SHARED = (
    bandwidth({"job": JOB}, sums_of(JOB_BYTES, _OF_JOB, ", $job", _OF_JOB), JOB_BYTES),
    metadata({"job": JOB}, summed("operations", f"{_OF_JOB}, operation", ", $job, operation", _OF_JOB), JOB_OPERATIONS),
    bandwidth(_OF_TARGETS, sums_of(_TARGET_BYTES, "filesystem"), _TARGET_BYTES),
    metadata(_OF_TARGETS, summed("operations", "filesystem, operation", ", operation"), _TARGET_OPERATIONS),
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
