"""Power in one window, and what the ledger adds up over windows: joules, grams and money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.model.use import Use

# The ways to share a node's host power between its jobs (docs/energy.md).
MODELS = ("allocation", "usage", "two_part")
# What measures a node's power, the better before the worse.
METERS = ("redfish", "rapl")
# Where the power of a node goes.
COMPONENTS = ("jobs", "idle", "unattributed")
# component, currency
Price = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Prices:
    """The site's factors; None where not configured, for which nothing is computed.

    model is the one whose energy is shown. pue multiplies the energy of which CO2 and electricity are computed, never
    the energy that is shown. cooling_share is on top of the electricity (ratio), gpu_hour by Slurm's GPU type,
    "default" for the others; zone names where grams_per_kwh holds.
    """

    model: str = "two_part"
    pue: float = 1.0
    grams_per_kwh: float | None = None
    zone: str = ""
    currency: str = ""
    per_kwh: float | None = None
    cooling_share: float | None = None
    cpu_hour: float | None = None
    gpu_hour: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodePower:
    """What one node is and draws, averaged over one window; None where it was not measured.

    watts is the whole node, GPUs included, unless lacks_gpus: then the power of the jobs' own GPUs comes on top. It is
    the mean over the covered part of the window (ratio), as meter (METERS) shows it. gpu_watts is all its GPUs,
    static_watts its host at rest. cpus counts the CPUs as Slurm does, busy_cpus those that worked, dram_share the
    memory's part of the processors' power (ratio).
    """

    watts: float | None = None
    gpu_watts: float | None = None
    static_watts: float | None = None
    cpus: float | None = None
    busy_cpus: float | None = None
    memory_bytes: float | None = None
    gpus: int | None = None
    dram_share: float | None = None
    covered: float = 1.0
    meter: str = METERS[0]
    lacks_gpus: bool = False


@dataclass(frozen=True, slots=True)
class PowerWindow:
    """What Prometheus knows of one closed window, (begin, end] in epoch seconds.

    job_gpu_watts is job id → node → watts of each GPU that the job sees; jobs that share a board all show it. use holds
    the means of the window at its end.
    """

    begin: float
    end: float
    use: Use
    nodes: Mapping[str, NodePower] = field(default_factory=dict)
    job_gpu_watts: Mapping[int, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Give the window's length."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class RunLedger:
    """Totals of one run over the closed windows that it touched; what was not measured is not in them.

    since and until are epoch seconds: the start of the first and the end of the last of those windows, cut to the run.
    power_seconds is the time in which all was known that its energy rests on: the power of its nodes by their own
    meters, and what it used there (seconds × share of nodes). meters is the time in which a node's power was known at
    all, by meter (METERS). host_joules is by model, gpu_joules the run's own GPUs. gpu_seconds are GPU-seconds whose
    utilisation was known, gpu_used_seconds Σ utilisation × seconds. gpu_idle_seconds is the observed time since one of
    its GPUs was last busy, and gpu_partly_idle_seconds since all were; gpu_unseen_seconds and gpu_partly_unseen_seconds
    are the time since then in which nothing was observed. co2_grams and cost (by component and currency) are of the
    chosen model, None and empty without factor and price.
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
    gpu_unseen_seconds: float = 0.0
    gpu_partly_unseen_seconds: float = 0.0
    meters: Mapping[str, float] = field(default_factory=dict)
    co2_grams: float | None = None
    cost: Mapping[Price, float] = field(default_factory=dict)

    def joules(self, model: str) -> float | None:
        """Give the run's energy by one model, its GPUs included; None while none of it was measured."""
        if not self.host_joules and not self.gpu_joules:
            return None
        return self.host_joules.get(model, 0.0) + self.gpu_joules

    @property
    def power_coverage(self) -> float | None:
        """Give the share of its time on nodes in which all was known that its energy rests on."""
        seen = self.until - self.since
        return min(1.0, self.power_seconds / seen) if seen > 0 else None

    @property
    def gpu_utilization(self) -> float | None:
        """Give the mean utilisation of its GPUs over the time that was observed (ratio)."""
        return self.gpu_used_seconds / self.gpu_seconds if self.gpu_seconds else None


@dataclass(frozen=True, slots=True)
class Totals:
    """What is added up for ever of one user under one account (chosen model); until: its last window's end."""

    until: float
    joules: float | None = None
    co2_grams: float | None = None
    cost: Mapping[Price, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeTotals:
    """The joules of one node by component (COMPONENTS), and the seconds in which its power was known.

    meter is the best that has measured it (METERS); power_seconds are those by this one, fallback_seconds by another.
    """

    until: float
    joules: Mapping[str, float] = field(default_factory=dict)
    power_seconds: float = 0.0
    fallback_seconds: float = 0.0
    meter: str = METERS[-1]


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that has been added up of one cluster until the end of the last closed window.

    runs is by run id (open ones and those that ended lately), users by (user, account), nodes by name.
    """

    window_end: float
    runs: Mapping[int, RunLedger] = field(default_factory=dict)
    users: Mapping[tuple[str, str], Totals] = field(default_factory=dict)
    nodes: Mapping[str, NodeTotals] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobPower:
    """The mean power of one run in the last closed window; host_watts by model, None where not measured.

    coverage is the share of it in which all was known that the power rests on.
    """

    host_watts: Mapping[str, float] | None = None
    gpu_watts: float | None = None
    coverage: float = 0.0


@dataclass(frozen=True, slots=True)
class Power:
    """The power of the last closed window: of each run, and of each node by component, with its meter."""

    window_end: float
    jobs: Mapping[int, JobPower] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    meters: Mapping[str, str] = field(default_factory=dict)
