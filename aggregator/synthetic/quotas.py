"""The quotas of users' homes on a synthetic GPFS file system."""

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Final

import polars as pl

from aggregator.model.series import AvailableGraph, Line, Lines, Span, Subject
from aggregator.model.storage import QUOTA_COUNTS, QuotaCounts
from aggregator.sources.prometheus.exporters.gpfs_exporter import GRAPHS

if TYPE_CHECKING:
    from aggregator.synthetic.cluster import SyntheticCluster

_SOFT_BYTES: Final = 50 * 2**30
_SOFT_INODES: Final = 500_000
_DAY: Final = 86_400.0
_INTERVAL: Final = 90.0

# Graph → what it shows of a user.
_GRAPHS: Final = {
    "used_bytes": "used_bytes", "used_inodes": "used_inodes", "quota_bytes": "soft_bytes",
    "quota_inodes": "soft_inodes", "limit_bytes": "hard_bytes",
}  # fmt: skip


class SyntheticQuotas:
    """What each user of a synthetic cluster has in the home folder, which grows by a thousandth a day; its graph."""

    name = "quota"

    def __init__(self, cluster: "SyntheticCluster") -> None:
        rng = Random(f"{cluster.seed}/home")  # noqa: S311 - a reproducible model, not a secret
        self._start = cluster.epoch
        self._shares = {user.name: min(0.99, rng.lognormvariate(-1.5, 0.9)) for user in cluster.population.users}
        self.rows = len(self._shares)
        self.features: Mapping[str, bool] = {}

    async def fetch(self, at: float) -> QuotaCounts:
        """Give every user's use and limits."""
        rows = [{"owner": user, **self._count(user, at)} for user in sorted(self._shares)]
        return QuotaCounts(time=at, counts=pl.DataFrame(rows, schema=QUOTA_COUNTS), source="gpfs", of_users=True)

    def _count(self, user: str, at: float) -> Mapping[str, int]:
        used = self._used(user, at)
        return {
            "used_bytes": round(used), "used_inodes": round(used / 200_000), "soft_bytes": _SOFT_BYTES,
            "soft_inodes": _SOFT_INODES, "hard_bytes": round(1.1 * _SOFT_BYTES), "in_doubt_bytes": 0,
            "in_doubt_inodes": 0,
        }  # fmt: skip

    def _used(self, user: str, at: float) -> float:
        grown = self._shares[user] * (1 + 0.001 * (at - self._start) / _DAY)
        return max(0.0, min(1.0, grown)) * _SOFT_BYTES

    def available(self, subject: str) -> Mapping[str, AvailableGraph]:
        """Give the graphs that the model knows of a user."""
        return {
            graph.name: AvailableGraph(
                name=graph.name, help=graph.help, unit=graph.unit, exporter="gpfs_exporter", interval=_INTERVAL
            )
            for graph in GRAPHS
            if graph.name in _GRAPHS and "gpfs_user" in graph.by and subject == "user"
        }  # fmt: skip

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give those that it does not know: no exporter would help."""
        return {}

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Compute a line of a user: what is used, or a limit."""
        times = [span.start + index * span.step for index in range(span.points)]
        return Lines(
            lines=tuple(
                Line({"user": user}, tuple((time, float(self._count(user, time)[_GRAPHS[name]])) for time in times))
                for _, user in subject.labels
                if user in self._shares
            )
        )
