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
from typing import TypedDict

from aggregator.sources.prometheus.exporter import Exporter, needed
from aggregator.sources.prometheus.expression import CLUSTER, JOB, LABELS, OURS, TARGET, Expression, Graph, Metric
from aggregator.sources.prometheus.promql import Matcher, extracted, lines, slopes

# More senders than this are added up as unknown; a big site has some ten thousand jobs.
MOST_SENDERS = 50_000
TOP_USERS = 20
HIGHEST_BYTES, HIGHEST_OPERATIONS = 1e15, 1e12
_OST: Matcher = ("component", "=", "ost")
_MDT: Matcher = ("component", "=", "mdt")
_BOTH: Matcher = ("component", "=~", "ost|mdt")
# What tells one series of a server from another, whatever Prometheus has put on it; a target that fails over has two.
_IDENTITY = "instance, $target, $jobid, $operation, $user, $account"
JOB_BYTES = {each: Metric(f"lustre_job_{each}_bytes_total", (_OST,)) for each in ("read", "write")}
JOB_OPERATIONS = {"operations": Metric("lustre_job_stats_total", (_MDT,))}
JOB_METRICS = {**JOB_BYTES, "metadata": JOB_OPERATIONS["operations"]}


def by_filesystem(vector: str) -> str:
    """Add the label filesystem to each series."""
    return extracted(vector, "filesystem", "$target", '"(.+)-(?:OST|MDT).*"')


# The rate of each series with its file system, once for all copies of it.
_RATES = by_filesystem(f"max by ({_IDENTITY}) (rate($own[$window]))")


def _rates(text: str) -> Mapping[str, Expression]:
    """Declare a sum of the rates of each kind."""
    return {
        name: Expression(
            name=name, metrics={"own": metric}, text=text,
            high=HIGHEST_OPERATIONS if name == "metadata" else HIGHEST_BYTES,
        )
        for name, metric in JOB_METRICS.items()
    }  # fmt: skip


RATES = _rates(f"topk({MOST_SENDERS}, sum by ($jobid, filesystem, $user, $account) ({_RATES}))")
# What all senders of a kind have together, those beyond the cap as well.
WHOLES = _rates(f"sum by (filesystem) ({_RATES})")
# The share of the targets of the last hour that are seen now, on whichever server.
_SHOWN = "count by (filesystem) (group by (filesystem, $target) ({}))"
COVERAGE = Expression(
    name="coverage", metrics={"own": Metric("lustre_inodes_maximum", (_BOTH,))},
    text=f"{_SHOWN.format(by_filesystem('$own'))} / {_SHOWN.format(by_filesystem('count_over_time($own[1h])'))}",
    high=1.0,
)  # fmt: skip
INPUTS = (*RATES.values(), *WHOLES.values(), COVERAGE)


class _Sums(TypedDict):
    """What a graph declares of the metrics that it adds up, and when the sums are known."""

    metrics: Mapping[str, Metric]
    there: str
    there_by: str


# What tells the series of one counter apart, whichever server has its target and however many replicas keep it.
_EACH = "$user, $account, filesystem, $target"
# The targets that are seen: while they are, and one has no series, it does nothing.
_TARGETS = {"targets": Metric("lustre_inodes_maximum", (_BOTH,), by=CLUSTER)}


def summed(counter: str, by: str, each: str = "", per: str = "filesystem") -> str:
    """Write the sum of the slopes of a counter by labels; `each` tells its series apart beside target and owner.

    Where all of a file system was observed what has come and gone counts as long as it was there; with `per` whether
    it was is asked of what has these labels alone.
    """
    return slopes(counter, f"{_EACH}{each}", per, summed=by, prepare=by_filesystem)


def bandwidth(by: Mapping[str, str], vectors: Mapping[str, str], metrics: Mapping[str, Metric]) -> Graph:
    """Draw what is read and written: one vector for each direction."""
    return Graph(
        name="lustre_bandwidth", help="Bytes read and written, by direction.", unit="bytes per second", by=by,
        high=HIGHEST_BYTES, job_label="jobid", text=lines("direction", vectors),
        **_while_seen(metrics, *vectors.values()),
    )  # fmt: skip


def metadata(by: Mapping[str, str], vector: str, metrics: Mapping[str, Metric]) -> Graph:
    """Draw metadata operations; one that does not happen has no line, as there are twenty of them."""
    return Graph(
        name="lustre_metadata", help="Metadata operations on MDTs; those that do not happen have no line.",
        unit="operations per second", by=by, text=f"{vector} > 0", high=HIGHEST_OPERATIONS, job_label="jobid",
        **_while_seen(metrics, vector),
    )  # fmt: skip


def _while_seen(metrics: Mapping[str, Metric], *vectors: str, by: str = "filesystem") -> _Sums:
    """Say when a file system was observed; of our own gauges the means are over the time in which they were there."""
    if not any("$window" in vector for vector in vectors):
        return {"metrics": metrics, "there": "", "there_by": ""}
    seen = (by_filesystem("$targets_now"), *vectors)
    there = " or ".join(f"group by ({by}) ({each})" for each in seen)
    return {"metrics": {**metrics, **_TARGETS}, "there": there, "there_by": by}


def _sums_of(metrics: Mapping[str, Metric], by: str, each: str = "", per: str = "filesystem") -> Mapping[str, str]:
    """Write the sum of the slopes of each metric by labels."""
    return {name: summed(name, by, each, per) for name in metrics}


def top_users(vectors: Mapping[str, str], metrics: Mapping[str, Mapping[str, Metric]], by: str) -> tuple[Graph, ...]:
    """Draw the users who do most on a file system over the whole range, and the others as one, for each kind."""
    kinds = {
        "read": ("Bytes read", "bytes per second"), "write": ("Bytes written", "bytes per second"),
        "metadata": ("Metadata operations", "operations per second"),
    }  # fmt: skip
    return tuple(
        Graph(
            name=f"lustre_users_{kind}", help=f"{text}, by user.", unit=unit, by={"filesystem": by},
            text=vectors[kind], high=max(HIGHEST_BYTES, HIGHEST_OPERATIONS), top=TOP_USERS, folded="user",
            job_label="jobid", **_while_seen(metrics[kind], vectors[kind], by=""),
        )
        for kind, (text, unit) in kinds.items()
    )  # fmt: skip


_OF_TARGETS = {"filesystem": TARGET, "cluster": LABELS}
_TARGET_BYTES = {each: Metric(f"lustre_{each}_bytes_total", (_OST,)) for each in JOB_BYTES}
_TARGET_OPERATIONS = {"operations": Metric("lustre_stats_total", (_MDT,))}
_OF_JOB = "$job, filesystem"
# What is on the series of both the exporter and the proxy.
SHARED = (
    bandwidth({"job": JOB}, _sums_of(JOB_BYTES, _OF_JOB, ", $job", _OF_JOB), JOB_BYTES),
    metadata(
        {"job": JOB}, summed("operations", f"{_OF_JOB}, $operation", ", $job, $operation", _OF_JOB), JOB_OPERATIONS
    ),
    bandwidth(_OF_TARGETS, _sums_of(_TARGET_BYTES, "filesystem"), _TARGET_BYTES),
    metadata(_OF_TARGETS, summed("operations", "filesystem, $operation", ", $operation"), _TARGET_OPERATIONS),
)  # fmt: skip

# The exporter knows no user: the service's own gauges do, where Prometheus scrapes the service.
GAUGES = {each: Metric(f"hpc_user_lustre_{each}_bytes_per_second", by=OURS) for each in JOB_BYTES}
GAUGES["metadata"] = Metric("hpc_user_lustre_metadata_operations_per_second", by=OURS)
# Replicas of the service show the same, and count once.
_GAUGE = "max by (user, account, filesystem) (${}_mean)"
_BYTE_GAUGES = {each: GAUGES[each] for each in JOB_BYTES}


def _of_gauges(subject: str, by: str) -> tuple[Graph, ...]:
    sums = {each: f"sum by ({by}) ({_GAUGE.format(each)})" for each in GAUGES}
    return (
        bandwidth({subject: LABELS}, {each: sums[each] for each in JOB_BYTES}, _BYTE_GAUGES),
        metadata({subject: LABELS}, sums["metadata"], {"metadata": GAUGES["metadata"]}),
    )


GRAPHS = (
    *SHARED,
    *_of_gauges("user", "account, filesystem"),
    *_of_gauges("account", "user, filesystem"),
    *top_users(
        dict.fromkeys(GAUGES, f"sum by (user) ({_GAUGE.format('rates')})"),
        {kind: {"rates": gauge} for kind, gauge in GAUGES.items()},
        LABELS,
    ),
)

# What is not known without which series.
NEEDED_OF_JOBS = (
    needed("lustre_job_read_bytes_total", "what jobs read"),
    needed("lustre_job_write_bytes_total", "what jobs write"),
    needed("lustre_job_stats_total", "metadata operations of jobs"),
)
NEEDED = (
    *NEEDED_OF_JOBS,
    needed("lustre_inodes_maximum", "which share of the Lustre targets is seen"),
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, graphs=GRAPHS, needed=NEEDED)
