"""Inputs from lfs_quota exporters: what groups or users use of a Lustre file system, as its quotas count it.

Sizes are KiB. The file system is the label `path`; the owner is a label that sites choose (`project` for project
quotas). There are no limits: those are in the allocations file.
"""

from aggregator.sources.prometheus.exporter import Exporter, needed
from aggregator.sources.prometheus.expression import LABELS, Graph, Metric

_METRICS = (
    ("used_bytes", "Bytes used, as the quota counts them.", "bytes", "lfs_quota_kbytes", 1024.0, 1e19),
    ("used_inodes", "Inodes used, as the quota counts them.", "inodes", "lfs_quota_inodes", 1.0, 1e15),
)

GRAPHS = tuple(
    Graph(
        name=name, help=text, unit=unit, by={f"lfs_{owner}": LABELS}, metrics={"used": Metric(metric)},
        # Two exporters may show the same quota.
        text=f"max by (${owner}) ($used_max)", scale=scale, high=high,
    )
    for owner in ("group", "user")
    for name, text, unit, metric, scale, high in _METRICS
)  # fmt: skip

# What is not known without which series.
NEEDED = (
    needed("lfs_quota_kbytes", "the bytes of owners"),
    needed("lfs_quota_inodes", "the inodes of owners"),
)  # fmt: skip

EXPORTER = Exporter(graphs=GRAPHS, needed=NEEDED)
