"""What the accounts of a cluster add up to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from aggregator.model.view import Sums

K = TypeVar("K")


def total(accounts: Sequence[Sums]) -> Sums:
    """Add up the accounts' sums, which hold each run once; a sum of nothing known stays None."""
    cpus = sum(sums.allocated_cpus for sums in accounts)
    memory = _add(sums.allocated_memory_bytes for sums in accounts) if accounts else 0
    gpus = _count(sums.allocated_gpus for sums in accounts)
    return Sums(
        account="",
        jobs=_count(sums.jobs for sums in accounts),
        allocated_cpus=cpus,
        allocated_memory_bytes=memory,
        allocated_gpus=gpus,
        used_cpus=_add(sums.used_cpus for sums in accounts),
        used_memory_bytes=_add(sums.used_memory_bytes for sums in accounts),
        used_gpus=_add(sums.used_gpus for sums in accounts),
        busy_gpus=_add(sums.busy_gpus for sums in accounts),
        memory_peak_bytes=_add(sums.memory_peak_bytes for sums in accounts),
        wasted_cpus=_add(sums.wasted_cpus for sums in accounts),
        wasted_memory_bytes=_add(sums.wasted_memory_bytes for sums in accounts),
        wasted_gpus=_add(sums.wasted_gpus for sums in accounts),
        wasted_cpu_seconds=_add(sums.wasted_cpu_seconds for sums in accounts),
        wasted_gpu_seconds=_add(sums.wasted_gpu_seconds for sums in accounts),
        power_watts=_add(sums.power_watts for sums in accounts),
        waste_jobs=_count(sums.waste_jobs for sums in accounts),
        coverage={
            **_weigh("cpu", ((sums, sums.allocated_cpus) for sums in accounts), cpus),
            **_weigh("memory", ((sums, sums.allocated_memory_bytes or 0) for sums in accounts), memory or 0),
            **_weigh("gpu", ((sums, sum(sums.allocated_gpus.values())) for sums in accounts), sum(gpus.values())),
        },
    )


def _count(counts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    added: Counter[K] = Counter()
    for count in counts:
        added.update(count)
    return dict(added)


def _add(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _weigh(name: str, shares: Iterable[tuple[Sums, float]], held: float) -> dict[str, float]:
    """Weigh each account's coverage by what it holds; of nothing held there is no coverage."""
    if not held:
        return {}
    return {name: sum(sums.coverage.get(name, 0.0) * weight for sums, weight in shares) / held}
