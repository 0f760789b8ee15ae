"""A believable cluster in process, for the demo, tests and benchmarks; no network, no wall clock."""

from aggregator.sources.synthetic.cluster import SyntheticCluster
from aggregator.sources.synthetic.sources import SyntheticAccounting, SyntheticStorage, SyntheticUse
from aggregator.sources.synthetic.storage import synthetic_allocations

__all__ = ["SyntheticAccounting", "SyntheticCluster", "SyntheticStorage", "SyntheticUse", "synthetic_allocations"]
