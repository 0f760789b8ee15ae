"""The joined snapshot that a scrape or a request reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.engine.view import View
from aggregator.model.accounting import Account, Run
from aggregator.model.association import NO_LIMITS, LimitsView
from aggregator.model.energy import NodeTotals, Prices, RunLedger, Totals
from aggregator.model.lustre import JobLustre, LustreView
from aggregator.model.node import NodeView, Scheduler
from aggregator.model.nodename import NodeRule
from aggregator.model.storage import Award
from aggregator.model.usage import UsageView
from aggregator.model.waste import NO_JUDGEMENT, Judgement


@dataclass(frozen=True, slots=True)
class GpuUse:
    """How a run uses its GPUs; None where nothing is known.

    utilization is the mean ratio over the `judged` GPUs: those with a plausible sample, and those without a series on
    a node whose exporter is up, which count 0. coverage is judged ÷ allocated.
    """

    coverage: float
    observed: int | None = None
    busy: int | None = None
    judged: float = 0.0
    utilization: float | None = None
    memory_bytes: float | None = None

    @property
    def used(self) -> float | None:
        """Give the sum of the utilisations: GPUs used."""
        return None if self.utilization is None else self.utilization * self.judged


@dataclass(frozen=True, slots=True)
class JobUse:
    """What a run uses; None where nothing is known. Coverage is samples seen ÷ expected, 0–1.

    memory_bytes is anonymous memory and swap cache now, memory_peak_bytes the run's peak with page cache, both summed
    over nodes. gpu is None for a run without GPUs, or when the GPU input could not be read. observed_seconds is how
    long of the run cpu_seconds and the peak tell of: until the newest sample, as a mean over its nodes; None stands for
    all of it.
    """

    cpus: float | None = None
    cpu_seconds: float | None = None
    memory_bytes: float | None = None
    memory_peak_bytes: float | None = None
    threads: float | None = None
    observed_seconds: float | None = None
    cpu_coverage: float | None = None
    memory_coverage: float | None = None
    gpu: GpuUse | None = None


NO_USE = JobUse()


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Used ÷ allocated over the run as far as it was observed (ratios), and what is wasted; None where not known.

    observed is the share of the run's time on which the ratios and the wasted CPU time rest. Wasted CPUs, memory and
    GPUs are those of now, wasted seconds those of the run so far.
    """

    cpu: float | None = None
    memory: float | None = None
    time_limit_used: float | None = None
    wasted_cpus: float | None = None
    wasted_memory_bytes: float | None = None
    wasted_gpus: float | None = None
    wasted_cpu_seconds: float | None = None
    wasted_gpu_seconds: float | None = None
    observed: float | None = None


@dataclass(frozen=True, slots=True)
class JobEnergy:
    """One run's energy by the chosen model; None where nothing was measured.

    The watts are means over the ledger's last closed window: of its share of the nodes, and of its own GPUs.
    power_coverage is the share of that window and of its nodes in which all was known that they rest on.
    """

    model: str
    joules: float | None = None
    node_watts: float | None = None
    gpu_watts: float | None = None
    power_coverage: float | None = None

    @property
    def watts(self) -> float | None:
        """Give what is known of its power: all of it where its nodes are measured."""
        known = [watts for watts in (self.node_watts, self.gpu_watts) if watts is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class Job:
    """One run joined with its use, what the ledger has added up of it (None: nothing yet), and how it is judged.

    lustre is None where Lustre's servers are not read, or cannot tell this run from another of its job id.
    """

    run: Run
    use: JobUse
    efficiency: Efficiency
    ledger: RunLedger | None = None
    energy: JobEnergy | None = None
    waste: Judgement = NO_JUDGEMENT
    lustre: JobLustre | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """The runs of one user under one account, or of one account, added up.

    user is "" for a whole account. Allocated is what runs hold now: a suspended one holds no CPUs, and memory is None
    where Slurm does not manage it. Coverage is weighted by what is allocated; a used or wasted sum is None when no run
    of it is known. waste_jobs counts findings by (reason, severity).
    """

    account: str
    user: str = ""
    jobs: Mapping[str, int] = field(default_factory=dict)
    allocated_cpus: int = 0
    allocated_memory_bytes: float | None = 0
    allocated_gpus: Mapping[str, int] = field(default_factory=dict)
    used_cpus: float | None = None
    used_memory_bytes: float | None = None
    used_gpus: float | None = None
    busy_gpus: float | None = None
    memory_peak_bytes: float | None = None
    wasted_cpus: float | None = None
    wasted_memory_bytes: float | None = None
    wasted_gpus: float | None = None
    power_watts: float | None = None
    wasted_cpu_seconds: float | None = None
    wasted_gpu_seconds: float | None = None
    waste_jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    coverage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EnergySums:
    """What the ledger has added up of one user under one account, or of one account (user "")."""

    account: str
    user: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class NodeEnergy:
    """One node: watts of the last closed window by component (None: stale) with their meter, and its totals."""

    node: str
    totals: NodeTotals
    watts: Mapping[str, float] | None = None
    meter: str = ""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """One cluster at one time: jobs newest first, sums, the account tree, awards, each user's accounts.

    series has the one run that owns each job id: ids of requeued runs would be printed twice otherwise. ledger_end is
    the end of the ledger's last closed window, None while there is none; prices are what it is kept by. rules are the
    names of those by which the jobs are judged. usage is as of its own last reading, None where it is not known.
    lustre is None where its servers are not read. nodes are those that the ledger knows, hosts all of them by name;
    scheduler is what slurmctld says through an exporter. warnings say where sources contradict each other; gpus_agree
    is None while it cannot be told whether they do of GPUs. names is the rule for the names of nodes.
    """

    cluster: str
    time: float
    jobs: tuple[Job, ...] = ()
    series: tuple[Job, ...] = ()
    users: tuple[Sums, ...] = ()
    accounts: tuple[Sums, ...] = ()
    tree: Mapping[str, Account] = field(default_factory=dict)
    awards: Mapping[str, Award] = field(default_factory=dict)
    ledger_end: float | None = None
    prices: Prices | None = None
    energy_users: tuple[EnergySums, ...] = ()
    energy_accounts: tuple[EnergySums, ...] = ()
    nodes: tuple[NodeEnergy, ...] = ()
    rules: tuple[str, ...] = ()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    limits: LimitsView = NO_LIMITS
    usage: UsageView | None = None
    lustre: LustreView | None = None
    hosts: tuple[NodeView, ...] = ()
    scheduler: Scheduler | None = None
    warnings: tuple[str, ...] = ()
    gpus_agree: bool | None = None
    names: NodeRule = field(default_factory=NodeRule)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The last attempt to fetch one source for one cluster or file system; times are epoch seconds.

    lag_seconds is how far a replica is behind, None where that is unknown, and of what is no replica.
    """

    source: str
    scope: str
    up: bool
    last_attempt: float | None = None
    last_success: float | None = None
    duration_seconds: float = 0.0
    rows: int = 0
    error: str = ""
    failed_inputs: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)
    lag_seconds: float | None = None

    @property
    def is_shown(self) -> bool:
        """Tell whether a snapshot is made of it: not of what the service keeps, nor of a replica for history."""
        return self.source not in ("state", "ledger", "slurmacct_replica")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known now; replaced whole, never changed.

    sources is keyed by (source, cluster, file system or cloud).
    """

    clusters: Mapping[str, ClusterView] = field(default_factory=dict)
    filesystems: Mapping[str, View] = field(default_factory=dict)
    clouds: Mapping[str, View] = field(default_factory=dict)
    sources: Mapping[tuple[str, str], SourceStatus] = field(default_factory=dict)
