"""lustre_exporter_slurm: a proxy in front of lustre_exporter that puts fs, user and account on the series of jobs.

Its `fs` is what stands before the first `-` of the target: a file system with one in its name is cut short, so that
the target is read instead. Series of `name.uid` have a user and never an account; those of ids that slurmdbd does not
know, of other forms and of empty ones have neither, and are the line without a user here. A requeued or reused job id
has the user of whichever run was found first: what is shown now is attributed anew (parts/lustre).
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.exporter import Exporter, needed
from aggregator.sources.prometheus.exporters.lustre_exporter import (
    GAUGES,
    INPUTS,
    JOB_BYTES,
    JOB_METRICS,
    NEEDED_OF_JOBS,
    SHARED,
    bandwidth,
    by_filesystem,
    metadata,
    summed,
    top_users,
)
from aggregator.sources.prometheus.expression import CLUSTER, LABELS, TARGET, Graph, Metric

_OPERATIONS = ", $job, $operation"
# The proxy puts `fs` on every job that has an id: file systems with series that lack it have servers that are scraped
# directly, of whose jobs only this service knows the users.
_UNNAMED = (("fs", "=", ""), ("jobid", "!=", ""))


def _of_all_servers(kind: str, by: str, ours: str) -> str:
    """Write the proxy's rates, and our own gauges of those file systems that have servers without the proxy.

    Those gauges are of all servers of a file system: it is shown by them, or by the proxy, never by both. by and ours
    are the labels of the sums: our own are never renamed.
    """
    unnamed = f"group by (filesystem) ({by_filesystem(f'group by ($target) (${kind}_direct)')})"
    gauges = f"max by (user, account, filesystem) (${kind}_ours_now) and on (filesystem) {unnamed}"
    each = summed(kind, by if "filesystem" in by else f"{by}, filesystem", _OPERATIONS)
    return f"(sum by ({ours}) ({gauges}) or sum by ({by}) ({each} unless on (filesystem) ({gauges})))"


def _with_ours(*kinds: str) -> Mapping[str, Metric]:
    """Give the metrics of some kinds, their gauges, and the series without the proxy's label."""
    found: dict[str, Metric] = {}
    for kind in kinds:
        metric = JOB_METRICS[kind]
        direct = Metric(metric.name, (*metric.matchers, *_UNNAMED), by=CLUSTER)
        found |= {kind: metric, f"{kind}_ours": GAUGES[kind], f"{kind}_direct": direct}
    return found


def _of_whom(subject: str, other: str, more: str = "") -> tuple[Graph, ...]:
    """Draw what a user or an account does, by the other; metadata operations by more labels."""
    by, ours = f"${other}, filesystem", f"{other}, filesystem"
    return (
        bandwidth(
            {subject: LABELS}, {kind: _of_all_servers(kind, by, ours) for kind in JOB_BYTES}, _with_ours(*JOB_BYTES)
        ),
        metadata({subject: LABELS}, _of_all_servers("metadata", f"{by}{more}", ours), _with_ours("metadata")),
    )


GRAPHS = (
    *SHARED,
    *_of_whom("user", "account", ", $operation"),
    *_of_whom("account", "user"),
    # A file system is all of the one kind or all of the other: no user is in both.
    *top_users(
        {kind: _of_all_servers(kind, "$user", "user") for kind in JOB_METRICS},
        {kind: _with_ours(kind) for kind in JOB_METRICS},
        TARGET,
    ),
)

# What is not known without which series.
NEEDED = (
    *NEEDED_OF_JOBS,
    needed("lustre_inodes_maximum", "which share of the Lustre targets is seen", always=False),
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, graphs=GRAPHS, needed=NEEDED)
