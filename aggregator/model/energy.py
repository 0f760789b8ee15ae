"""What the ledger has added up of each run over wall-clock windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The ways to share a node's power between its jobs (docs/energy.md).
MODELS = ("allocation", "usage", "two_part")


@dataclass(frozen=True, slots=True)
class RunLedger:
    """Totals of one run over the closed windows that it touched; what was not measured is not in them.

    since and until are epoch seconds: the start of the first and the end of the last of those windows, cut to the run.
    power_seconds is the time in which the power of its nodes was known (seconds × share of nodes). host_joules is by
    model, gpu_joules the run's own GPUs. gpu_seconds are GPU-seconds whose utilisation was known, gpu_used_seconds
    Σ utilisation × seconds. gpu_idle_seconds is the observed time since one of its GPUs was last busy, and
    gpu_partly_idle_seconds since all were; time in which nothing was observed does not count.
    """

    since: float
    until: float
    power_seconds: float = 0.0
    host_joules: Mapping[str, float] = field(default_factory=dict)
    gpu_joules: float = 0.0
    gpu_seconds: float = 0.0
    gpu_used_seconds: float = 0.0
    gpu_idle_seconds: float = 0.0
    gpu_partly_idle_seconds: float = 0.0
    co2_grams: float | None = None
    cost: Mapping[str, float] = field(default_factory=dict)

    def joules(self, model: str) -> float:
        """Give the run's energy by one model, its GPUs included."""
        return self.host_joules.get(model, 0.0) + self.gpu_joules

    @property
    def gpu_utilization(self) -> float | None:
        """Give the mean utilisation of its GPUs over the time that was observed (ratio)."""
        return self.gpu_used_seconds / self.gpu_seconds if self.gpu_seconds else None
