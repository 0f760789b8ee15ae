"""A believable cluster in process, for the demo, tests and benchmarks; no network, no wall clock."""

from aggregator.sources.synthetic.around import SyntheticAround
from aggregator.sources.synthetic.cloud import SyntheticCloud
from aggregator.sources.synthetic.cluster import PAST_SECONDS, SyntheticCluster
from aggregator.sources.synthetic.history import SyntheticHistory
from aggregator.sources.synthetic.hosts import LOGIN_NODE, SyntheticHosts, SyntheticScheduler
from aggregator.sources.synthetic.lustre import SyntheticLustre
from aggregator.sources.synthetic.power import SyntheticPower
from aggregator.sources.synthetic.quotas import SyntheticQuotas
from aggregator.sources.synthetic.series import SyntheticSeries
from aggregator.sources.synthetic.sources import (
    SyntheticAccounting,
    SyntheticAllocations,
    SyntheticStorage,
    SyntheticUse,
)
from aggregator.sources.synthetic.usage import SyntheticUsage

__all__ = [
    "LOGIN_NODE",
    "PAST_SECONDS",
    "SyntheticAccounting",
    "SyntheticAllocations",
    "SyntheticAround",
    "SyntheticCloud",
    "SyntheticCluster",
    "SyntheticHistory",
    "SyntheticHosts",
    "SyntheticLustre",
    "SyntheticPower",
    "SyntheticQuotas",
    "SyntheticScheduler",
    "SyntheticSeries",
    "SyntheticStorage",
    "SyntheticUsage",
    "SyntheticUse",
]
