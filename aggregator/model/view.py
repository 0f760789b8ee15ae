"""The joined snapshot that a scrape or a request reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.engine.view import View
from aggregator.model.energy import Prices
from aggregator.model.job_inputs import NO_RUNS, Runs
from aggregator.model.nodename import NodeRule


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ClusterView:
    """One cluster at one time: the frames of its parts, and the runs of which they are made.

    ledger_end is the end of the ledger's last closed window, None while there is none; prices are what it is kept by.
    warnings say where sources contradict each other. names is the rule for the names of nodes. context has what answers
    need besides the frames to put into words what the parts have decided. has_jobs tells whether slurmacct has answered
    and its jobs could be joined: without it, that there is no job means nothing.
    """

    cluster: str
    time: float
    runs: Runs = NO_RUNS
    ledger_end: float | None = None
    prices: Prices | None = None
    warnings: tuple[str, ...] = ()
    names: NodeRule = field(default_factory=NodeRule)
    frames: Frames = field(default_factory=dict, compare=False)
    context: Inputs = field(default_factory=Inputs, compare=False)
    has_jobs: bool = False

    @property
    def name(self) -> str:
        """Give the cluster's name, as every view has one."""
        return self.cluster


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


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Snapshot:
    """All that is known now; replaced whole, never changed.

    sources is keyed by (source, cluster, file system or cloud).
    """

    clusters: Mapping[str, ClusterView] = field(default_factory=dict)
    filesystems: Mapping[str, View] = field(default_factory=dict)
    clouds: Mapping[str, View] = field(default_factory=dict)
    sources: Mapping[tuple[str, str], SourceStatus] = field(default_factory=dict)
