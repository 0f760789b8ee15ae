"""By what the largest may be looked for: one row per measure of a run, and of runs added up."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from aggregator.api.sums import SumsRow
from aggregator.model.view import Job


class Measure(NamedTuple):
    """A number of a run, and of a user or account; None where it is not known."""

    unit: str
    of_job: Callable[[Job], float | None]
    of_sums: Callable[[SumsRow], float | None]


MEASURES: Final[Mapping[str, Measure]] = {
    "cpus": Measure("cpus", lambda job: job.run.held.cpus, lambda sums: sums.live.allocated_cpus),
    "used_cpus": Measure("cpus", lambda job: job.use.cpus, lambda sums: sums.live.used_cpus),
    "wasted_cpus": Measure("cpus", lambda job: job.efficiency.wasted_cpus, lambda sums: sums.live.wasted_cpus),
    "gpus": Measure(
        "gpus", lambda job: job.run.allocated.gpu_count, lambda sums: sum(sums.live.allocated_gpus.values())
    ),
    "used_gpus": Measure(
        "gpus", lambda job: job.use.gpu.used if job.use.gpu else None, lambda sums: sums.live.used_gpus
    ),
    "wasted_gpus": Measure("gpus", lambda job: job.efficiency.wasted_gpus, lambda sums: sums.live.wasted_gpus),
    "memory": Measure(
        "bytes", lambda job: job.run.held.memory_bytes, lambda sums: sums.live.allocated_memory_bytes
    ),
    "used_memory": Measure("bytes", lambda job: job.use.memory_bytes, lambda sums: sums.live.used_memory_bytes),
    "wasted_memory": Measure(
        "bytes", lambda job: job.efficiency.wasted_memory_bytes, lambda sums: sums.live.wasted_memory_bytes
    ),
    "power": Measure(
        "watts", lambda job: job.energy.watts if job.energy else None, lambda sums: sums.live.power_watts
    ),
    "energy": Measure(
        "joules",
        lambda job: job.energy.joules if job.energy else None,
        lambda sums: sums.totals.joules if sums.totals else None,
    ),
    "lustre_bytes": Measure(
        "bytes per second",
        lambda job: job.lustre.bytes if job.lustre else None,
        lambda sums: sums.lustre.bytes if sums.lustre else None,
    ),
    "lustre_metadata": Measure(
        "operations per second",
        lambda job: job.lustre.metadata if job.lustre else None,
        lambda sums: sums.lustre.metadata if sums.lustre else None,
    ),
}  # fmt: skip
