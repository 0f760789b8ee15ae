"""By what the largest may be looked for: one row per measure of a run, and of runs added up."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from aggregator.model.energy import Totals
from aggregator.model.view import Job, Sums


class Measure(NamedTuple):
    """A number of a run, and of a user or account (whose totals are the ledger's); None where it is not known."""

    unit: str
    of_job: Callable[[Job], float | None]
    of_sums: Callable[[Sums, Totals | None], float | None]


MEASURES: Final[Mapping[str, Measure]] = {
    "cpus": Measure("cpus", lambda job: job.run.allocated.cpus, lambda sums, _: sums.allocated_cpus),
    "used_cpus": Measure("cpus", lambda job: job.use.cpus, lambda sums, _: sums.used_cpus),
    "wasted_cpus": Measure("cpus", lambda job: job.efficiency.wasted_cpus, lambda sums, _: sums.wasted_cpus),
    "gpus": Measure(
        "gpus", lambda job: job.run.allocated.gpu_count, lambda sums, _: sum(sums.allocated_gpus.values())
    ),
    "used_gpus": Measure(
        "gpus", lambda job: job.use.gpu.used if job.use.gpu else None, lambda sums, _: sums.used_gpus
    ),
    "wasted_gpus": Measure("gpus", lambda job: job.efficiency.wasted_gpus, lambda sums, _: sums.wasted_gpus),
    "memory": Measure(
        "bytes", lambda job: job.run.allocated.memory_bytes, lambda sums, _: sums.allocated_memory_bytes
    ),
    "used_memory": Measure("bytes", lambda job: job.use.memory_bytes, lambda sums, _: sums.used_memory_bytes),
    "wasted_memory": Measure(
        "bytes", lambda job: job.efficiency.wasted_memory_bytes, lambda sums, _: sums.wasted_memory_bytes
    ),
    "power": Measure(
        "watts", lambda job: job.energy.watts if job.energy else None, lambda sums, _: sums.power_watts
    ),
    "energy": Measure(
        "joules",
        lambda job: job.energy.joules if job.energy else None,
        lambda _, totals: totals.joules if totals else None,
    ),
}  # fmt: skip
