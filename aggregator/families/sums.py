"""hpc_user_* and hpc_account_*: the open runs of a user under an account, and of an account, added up."""

from collections.abc import Callable, Iterable, Sequence

from aggregator.families.spec import Entity, Family, LabelValues, View, cluster_of
from aggregator.model.view import ClusterView, Sums

_JOINED = "Σ of hpc_job_*"


def _users(view: View) -> Sequence[Sums]:
    return view.users if isinstance(view, ClusterView) else ()


def _accounts(view: View) -> Sequence[Sums]:
    return view.accounts if isinstance(view, ClusterView) else ()


USER: Entity[Sums] = Entity(
    name="user",
    group="users",
    labels=("cluster", "user", "account"),
    of=_users,
    label_values=lambda view, sums: (cluster_of(view), sums.user, sums.account),
)
ACCOUNT: Entity[Sums] = Entity(
    name="account",
    group="accounts",
    labels=("cluster", "account"),
    of=_accounts,
    label_values=lambda view, sums: (cluster_of(view), sums.account),
)


def _jobs(sums: Sums) -> Iterable[tuple[LabelValues, float]]:
    return (((state,), count) for state, count in sums.jobs.items())


def _allocated_gpus(sums: Sums) -> Iterable[tuple[LabelValues, float]]:
    return (((gpu_type,), count) for gpu_type, count in sums.allocated_gpus.items())


def _coverage(sums: Sums) -> Iterable[tuple[LabelValues, float]]:
    return (((name,), ratio) for name, ratio in sums.coverage.items())


def _waste_jobs(sums: Sums) -> Iterable[tuple[LabelValues, float]]:
    return sums.waste_jobs.items()


_VALUES: tuple[tuple[str, str, Callable[[Sums], float | None]], ...] = (
    ("allocated_cpus", "CPUs held by running jobs", lambda sums: sums.allocated_cpus),
    ("allocated_memory_bytes", "Memory held by running jobs", lambda sums: sums.allocated_memory_bytes),
    ("used_cpus", "CPUs busy now", lambda sums: sums.used_cpus),
    ("used_memory_bytes", "Anonymous memory and swap cache now", lambda sums: sums.used_memory_bytes),
    ("memory_peak_bytes", "Sum of the running jobs' peaks, with page cache", lambda sums: sums.memory_peak_bytes),
    ("used_gpus", "Sum of GPU utilisations now", lambda sums: sums.used_gpus),
    ("busy_gpus", "GPUs with a utilisation above 0 now", lambda sums: sums.busy_gpus),
    ("wasted_cpus", "CPUs held and not busy", lambda sums: sums.wasted_cpus),
    ("wasted_memory_bytes", "Memory held above fair share and peak", lambda sums: sums.wasted_memory_bytes),
    ("wasted_gpus", "GPUs held and not utilised", lambda sums: sums.wasted_gpus),
    ("wasted_cpu_seconds", "CPU time held and not used so far by running jobs", lambda sums: sums.wasted_cpu_seconds),
    ("wasted_gpu_seconds", "GPU time held and not utilised so far by running jobs, as far as it was observed",
     lambda sums: sums.wasted_gpu_seconds),
)  # fmt: skip
_SAMPLES = (
    ("jobs", "Open jobs by state, array tasks counted", ("state",), _jobs),
    ("allocated_gpus", "GPUs held by running jobs, by type", ("gpu_type",), _allocated_gpus),
    ("waste_jobs", "Running jobs of which a rule of waste holds", ("reason", "severity"), _waste_jobs),
    ("coverage_ratio", "Share of what is held that the sums of use rest on", ("input",), _coverage),
)


def _plural(label: str) -> str:
    return "severities" if label == "severity" else f"{label}s"


def _value_family(
    entity: Entity[Sums], of_whom: str, name: str, help: str, value: Callable[[Sums], float | None]
) -> Family[Sums]:
    return Family(
        name=f"hpc_{entity.name}_{name}",
        help=f"{help} {of_whom}.",
        entity=entity,
        cost=f"active {entity.name}s",
        source=_JOINED,
        value=value,
    )


def _families(entity: Entity[Sums], of_whom: str) -> tuple[Family[Sums], ...]:
    """Declare the same families for users and for accounts."""
    values = (_value_family(entity, of_whom, *declared) for declared in _VALUES)
    labelled = (
        Family(
            name=f"hpc_{entity.name}_{name}",
            help=f"{help} {of_whom}.",
            entity=entity,
            cost=" × ".join((f"active {entity.name}s", *map(_plural, labels))),
            source=_JOINED,
            labels=labels,
            samples=samples,
        )
        for name, help, labels, samples in _SAMPLES
    )
    return (*values, *labelled)


FAMILIES = (*_families(USER, "of the user under the account"), *_families(ACCOUNT, "of the account itself"))
