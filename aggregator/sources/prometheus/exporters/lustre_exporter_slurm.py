"""lustre_exporter_slurm: a proxy in front of lustre_exporter that puts fs, user and account on the series of jobs.

Its `fs` is what stands before the first `-` of the target: a file system with one in its name is cut short, so that
the target is read instead. Series of `name.uid` have a user and never an account; those of ids that slurmdbd does not
know, of other forms and of empty ones have neither, and are the line without a user here. A requeued or reused job id
has the user of whichever run was found first: what is shown now is attributed anew (join/lustre.py).
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.exporters.lustre_exporter import (
    JOB_BYTES,
    JOB_OPERATIONS,
    SHARED,
    bandwidth,
    by_filesystem,
    metadata,
    summed,
    top_users,
)
from aggregator.sources.prometheus.graphs import CLUSTER, LABELS, OURS, TARGET, Graph, Series

_OF_USER = {"user": LABELS}
_OF_ACCOUNT = {"account": LABELS}
_OPERATIONS = ", $job, operation"
# The proxy puts `fs` on every job that has an id: file systems with series that lack it have servers that are scraped
# directly, of whose jobs only this service knows the users.
_UNNAMED = (("fs", "=", ""), ("jobid", "!=", ""))


def _of_all_servers(series: str, by: str, ours: str) -> str:
    """Write the proxy's rates, and our own gauges of those file systems that have servers without the proxy.

    Those gauges are of all servers of a file system: it is shown by them, or by the proxy, never by both. by and ours
    are the labels of the sums: our own are never renamed.
    """
    unnamed = f"group by (filesystem) ({by_filesystem(f'group by (target) (${series}_direct)')})"
    gauges = f"max by ($our_user, $our_account, filesystem) (${series}_ours_now) and on (filesystem) {unnamed}"
    each = summed(series, by if "filesystem" in by else f"{by}, filesystem", _OPERATIONS)
    return f"(sum by ({ours}) ({gauges}) or sum by ({by}) ({each} unless on (filesystem) ({gauges})))"


def _with_ours(series: Mapping[str, Series]) -> Mapping[str, Series]:
    """Add the gauges of a graph's series, and the series without the proxy's label."""
    more: dict[str, Series] = {}
    for name, one in series.items():
        gauge = "metadata_operations" if one.metric == "lustre_job_stats_total" else f"{name}_bytes"
        more[f"{name}_ours"] = Series(f"hpc_user_lustre_{gauge}_per_second", by=OURS)
        more[f"{name}_direct"] = Series(one.metric, (*one.matchers, *_UNNAMED), by=CLUSTER)
    return {**series, **more}


def _bandwidth(subject: Mapping[str, str], by: str, ours: str) -> Graph:
    vectors = {name: _of_all_servers(name, by, ours) for name in JOB_BYTES}
    return bandwidth(subject, vectors, _with_ours(JOB_BYTES))


def _metadata(subject: Mapping[str, str], by: str, ours: str) -> Graph:
    return metadata(subject, _of_all_servers("operations", by, ours), _with_ours(JOB_OPERATIONS))


def _top(name: str, text: str, unit: str, series: str, one: Series) -> Graph:
    # A file system is all of the one kind or all of the other: no user is in both.
    return top_users(
        name, text, unit, _of_all_servers(series, "user", "$our_user"), _with_ours({series: one}), TARGET
    )  # fmt: skip


GRAPHS = (
    *SHARED,
    _bandwidth(_OF_USER, "account, filesystem", "$our_account, filesystem"),
    _metadata(_OF_USER, "account, filesystem, operation", "$our_account, filesystem"),
    _bandwidth(_OF_ACCOUNT, "user, filesystem", "$our_user, filesystem"),
    _metadata(_OF_ACCOUNT, "user, filesystem", "$our_user, filesystem"),
    *(
        _top(f"lustre_users_{each}", f"Bytes {text}, by user.", "bytes per second", each, JOB_BYTES[each])
        for each, text in (("read", "read"), ("write", "written"))
    ),
    _top(
        "lustre_users_metadata", "Metadata operations, by user.", "operations per second", "operations",
        JOB_OPERATIONS["operations"],
    ),
)  # fmt: skip
