"""hpc_*_lustre_*: input and output on Lustre by file system, and whose it is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aggregator.families.jobs import JOB
from aggregator.families.spec import Entity, Family, LabelValues, View, cluster_of
from aggregator.model.lustre import KINDS, PARTS, Kind, LustreIo, LustreSums, LustreView
from aggregator.model.view import ClusterView, Job

_SOURCES: Mapping[Kind, str] = {
    "read": "Σ rate(lustre_job_read_bytes_total) on OSTs",
    "write": "Σ rate(lustre_job_write_bytes_total) on OSTs",
    "metadata": "Σ rate(lustre_job_stats_total) on MDTs",
}
_NAMES: Mapping[Kind, tuple[str, str]] = {
    "read": ("lustre_read_bytes_per_second", "Bytes read from Lustre"),
    "write": ("lustre_write_bytes_per_second", "Bytes written to Lustre"),
    "metadata": ("lustre_metadata_operations_per_second", "Metadata operations on Lustre"),
}
_Samples = Iterable[tuple[LabelValues, float | None]]


def _lustre(view: View) -> LustreView | None:
    return view.lustre if isinstance(view, ClusterView) else None


def _users(view: View) -> Sequence[LustreSums]:
    lustre = _lustre(view)
    return lustre.users if lustre else ()


def _accounts(view: View) -> Sequence[LustreSums]:
    lustre = _lustre(view)
    return lustre.accounts if lustre else ()


def _clusters(view: View) -> Sequence[LustreView]:
    lustre = _lustre(view)
    return (lustre,) if lustre else ()


LUSTRE_USER: Entity[LustreSums] = Entity(
    name="user's input and output",
    group="users",
    labels=("cluster", "user", "account"),
    of=_users,
    label_values=lambda view, sums: (cluster_of(view), sums.user, sums.account),
)
LUSTRE_ACCOUNT: Entity[LustreSums] = Entity(
    name="account's input and output",
    group="accounts",
    labels=("cluster", "account"),
    of=_accounts,
    label_values=lambda view, sums: (cluster_of(view), sums.account),
)
LUSTRE_CLUSTER: Entity[LustreView] = Entity(
    name="cluster's input and output",
    group="nodes",
    labels=("cluster",),
    of=_clusters,
    label_values=lambda view, _: (cluster_of(view),),
)


def _rates(filesystems: Mapping[str, LustreIo], kind: Kind) -> _Samples:
    return (((name,), getattr(rates, kind)) for name, rates in filesystems.items())


def _of_job(kind: Kind) -> Callable[[Job], _Samples]:
    return lambda job: _rates(job.lustre.filesystems, kind) if job.lustre else ()


def _of_sums(kind: Kind) -> Callable[[LustreSums], _Samples]:
    return lambda sums: _rates(sums.filesystems, kind)


def _of_cluster(kind: Kind) -> Callable[[LustreView], _Samples]:
    return lambda view: (
        ((name, part), getattr(rates, kind)) for part in PARTS for name, rates in view.parts.get(part, {}).items()
    )


def _families(
    entity: Entity[Any],
    prefix: str,
    of_whom: str,
    cost: str,
    samples: Callable[[Kind], Callable[[Any], _Samples]],
    labels: tuple[str, ...] = ("filesystem",),
) -> Iterable[Family[Any]]:
    """Declare the three families of one kind of entity."""
    for kind in KINDS:
        name, help_text = _NAMES[kind]
        yield Family(
            name=f"hpc_{prefix}_{name}", help=f"{help_text} per second {of_whom}.", entity=entity, cost=cost,
            source=_SOURCES[kind], labels=labels, samples=samples(kind),
        )  # fmt: skip


FAMILIES: tuple[Family[Any], ...] = (
    *_families(JOB, "job", "by the run, while it is the only one of its job id", "jobs that use Lustre", _of_job),
    *_families(
        LUSTRE_USER, "user", "by the user's jobs under the account, or without an account outside of jobs",
        "users of Lustre × file systems", _of_sums,
    ),
    *_families(
        LUSTRE_ACCOUNT, "account", "by the account's own jobs", "accounts that use Lustre × file systems", _of_sums
    ),
    *_families(
        LUSTRE_CLUSTER, "cluster", "by jobs, by users outside of jobs, and by what cannot be told",
        "3 × file systems", _of_cluster, ("filesystem", "part"),
    ),
)  # fmt: skip
