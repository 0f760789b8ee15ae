"""What lfs_quota and gpfs_exporter show of the lab's file systems."""

import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

# (path, owner) → KiB, inodes. The same name stands on several file systems.
LFS = {
    ("/lustre07/scratch/", "amartin"): (8_589_934, 912_003),
    ("/lustre07/scratch/", "btremblay"): (12, 3),
    ("/lustre07/scratch/", 'o"brien \\ 🦙'): (1024, 10),
    ("/lustre02/project/", "def-kim"): (722_788_352, 441_208),
}
# (owner's kind, owner, fs, fileset) → bytes: used, soft, hard, in doubt; files: the same. 0 is no limit.
GPFS = {
    ("user", "amartin", "home", "root"): ((40 << 30, 50 << 30, 60 << 30, 1 << 20), (183_442, 500_000, 0, 5)),
    ("user", "btremblay", "home", "root"): ((1 << 30, 0, 0, 0), (10, 0, 0, 0)),
    ("group", "def-kim", "project", "root"): ((700 << 30, 1 << 40, 1 << 40, 0), (5, 100, 100, 0)),
    ("group", "def-kim", "project", "data"): ((100 << 30, 2 << 40, 0, 0), (7, 0, 0, 0)),
    ("group", "6003412", "project", "root"): ((10 << 30, 1 << 40, 0, 0), (1, 0, 0, 0)),
    ("fileset", "data", "project", ""): ((20 << 40, 30 << 40, 31 << 40, 0), (12, 0, 0, 0)),
}
_VALUES = ("used", "quota", "limit", "in_doubt")


class Quotas:
    """The exporters of quotas, and what is wrong with gpfs_exporter."""

    def __init__(self) -> None:
        self.timed_out = False
        """mmrepquota took too long."""
        self.clash = False
        """Before 3.0.1: the filesets of one group are the same series twice, so there is no page at all."""
        self._born = time.time()

    def lfs(self, _: str) -> Iterator[Metric]:
        return lfs_quota_exporter(round(time.time() - self._born))

    def gpfs(self, _: str) -> Iterator[Metric] | None:
        return None if self.clash else gpfs_exporter(timeout=self.timed_out)


def lfs_quota_exporter(grown: float) -> Iterator[Metric]:
    """Yield use by path and project; *grown* KiB came to each."""
    kbytes = GaugeMetricFamily("lfs_quota_kbytes", "Used KiB", labels=("path", "project"))
    inodes = GaugeMetricFamily("lfs_quota_inodes", "Used inodes", labels=("path", "project"))
    for key, (kib, count) in LFS.items():
        kbytes.add_metric(key, kib + grown)
        inodes.add_metric(key, count)
    yield from (kbytes, inodes)


def gpfs_exporter(*, timeout: bool) -> Iterator[Metric]:
    """Yield what mmrepquota says; when that took too long, nothing but that."""
    for name, value in (("error", 0), ("timeout", int(timeout))):
        failure = GaugeMetricFamily(f"gpfs_exporter_collect_{name}", f"Collector: {name}", labels=("collector",))
        failure.add_metric(("mmrepquota",), value)
        yield failure
    if not timeout:
        yield from _quotas()


def _quotas() -> Iterator[Metric]:
    for kind in ("user", "group", "fileset"):
        for number, value in enumerate(_VALUES):
            for unit, of_unit in (("bytes", 0), ("files", 1)):
                labels = ("fileset", "fs") if kind == "fileset" else (kind, "fs", "fileset")
                family = GaugeMetricFamily(f"gpfs_{kind}_{value}_{unit}", f"{value} of a {kind}", labels=labels)
                for (of, owner, fs, fileset), counts in GPFS.items():
                    if of == kind:
                        values = (owner, fs) if kind == "fileset" else (owner, fs, fileset)
                        family.add_metric(values, counts[of_unit][number])
                yield family
