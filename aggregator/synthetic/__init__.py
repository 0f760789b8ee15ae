"""A believable cluster in process, for the demo, tests and benchmarks; no network, no wall clock."""

from aggregator.synthetic.cloud import SyntheticCloud
from aggregator.synthetic.cluster import USUAL_RUNNING, SyntheticCluster, past_seconds, past_share
from aggregator.synthetic.details import SyntheticDetails
from aggregator.synthetic.history import SyntheticHistory
from aggregator.synthetic.hosts import LOGIN_NODE, SyntheticHosts, SyntheticScheduler
from aggregator.synthetic.lustre import SyntheticLustre
from aggregator.synthetic.power import SyntheticPower
from aggregator.synthetic.quotas import SyntheticQuotas
from aggregator.synthetic.series import SyntheticSeries
from aggregator.synthetic.sources import (
    SyntheticAccounting,
    SyntheticAllocations,
    SyntheticStorage,
    SyntheticUse,
)
from aggregator.synthetic.usage import SyntheticUsage

__all__ = [
    "LOGIN_NODE",
    "USUAL_RUNNING",
    "SyntheticAccounting",
    "SyntheticAllocations",
    "SyntheticCloud",
    "SyntheticCluster",
    "SyntheticDetails",
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
    "past_seconds",
    "past_share",
]
