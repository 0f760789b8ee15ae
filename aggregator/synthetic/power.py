"""The power of a synthetic cluster's nodes and GPUs, as Prometheus would give its means over windows."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

import polars as pl

from aggregator import executors
from aggregator.model.energy import METERS
from aggregator.model.readings import GPUS, NODES, USED, Frame, Readings, Windows
from aggregator.synthetic.cluster import SyntheticCluster
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.nodes import NodePool
from aggregator.synthetic.submission import GIBIBYTE
from aggregator.synthetic.use import GPU_BUSY_WATTS, GPU_IDLE_WATTS, Columns, gpus_of

_STATIC_WATTS = 140.0
_WATTS_PER_CPU = 4.5


class SyntheticPower:
    """Compute windows of any time of the last day and of running jobs' past; one node's BMC does not answer."""

    window = 60.0
    settle_seconds = 5.0

    def __init__(self, cluster: SyntheticCluster) -> None:
        self.rejected: Mapping[str, int] = Counter()
        self._cluster = cluster
        self._exporters = Exporters(cluster)
        pools = [(pool, node.name) for pool in cluster.pools for node in pool.nodes]
        self._nodes = pl.DataFrame([_size(name, pool) for pool, name in pools], infer_schema_length=None)

    async def newest(self, at: float) -> float | None:
        """Give the time itself: what is computed is never late."""
        return at

    async def windows(self, first_end: float, count: int) -> Readings:
        """Compute `count` windows one after the other, off the event loop."""
        await self._cluster.reach(first_end + (count - 1) * self.window)
        ran = self._cluster.ran_since(first_end - self.window)
        return await executors.run(
            executors.REFRESH, self._read, Windows(first_end - self.window, self.window, count), ran
        )

    def _read(self, windows: Windows, ran: Sequence[LiveRun]) -> Readings:
        ends = windows.frame()["window_end"]
        nodes, used, gpus = zip(*(self._window(number, end, ran) for number, end in enumerate(ends)), strict=True)
        return Readings(windows, pl.concat(nodes), pl.concat(used), pl.concat(gpus))

    def _window(
        self, number: int, end: float, ran: Sequence[LiveRun]
    ) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Compute the frames of one window: NODES, USED and GPUS."""
        begin = end - self.window
        present = [live for live in ran if (live.run.start or end) < end and (live.run.end or end) > begin]
        silent = self._exporters.silent(end)
        columns = Columns(present)
        cpus = columns.cpus(end)
        gpus = gpus_of(present, end)
        # A run counts for the part of the window in which it was there.
        parts = [_seconds(live, begin, end) / (end - begin) for live in present]
        busy = [amount * part for amount, part in zip(cpus, columns.spread(parts), strict=True)]
        nodes = self._power(columns.by_node(busy), _load(gpus, parts), self._exporters.answering(end))
        watts = GPU_IDLE_WATTS + pl.col("utilization") * GPU_BUSY_WATTS
        shown = gpus.filter(~pl.col("node").is_in(list(silent))).with_columns(watts=watts)
        return (
            _of(NODES, nodes, number),
            _of(USED, columns.frame(silent, used_cpus=cpus), number),
            _of(GPUS, shown, number),
        )

    def _power(self, busy: Mapping[str, float], load: pl.DataFrame, answering: Set[str]) -> pl.DataFrame:
        """Compute the mean power of each node, by its busy CPUs and GPUs."""
        of_cpus = pl.DataFrame(list(busy.items()), schema={"node": pl.String, "busy": pl.Float64}, orient="row")
        gpu_watts = pl.col("boards") * GPU_IDLE_WATTS + pl.col("load").fill_null(0.0) * GPU_BUSY_WATTS
        watts = _STATIC_WATTS + _WATTS_PER_CPU * pl.col("busy").fill_null(0.0) + gpu_watts
        answers = pl.col("node").is_in(sorted(answering))
        return (
            self._nodes.join(of_cpus, on="node", how="left")
            .join(load, on="node", how="left")
            .with_columns(
                watts=pl.when(pl.col("node") != (self._exporters.without_power or "")).then(watts),
                gpu_watts=pl.when(pl.col("boards") > 0).then(gpu_watts),
                busy_cpus=pl.col("busy").fill_null(0.0) + 0.2,
                vouches_cpus=answers, vouches_memory=answers, vouches_gpus=answers,
            )
        )  # fmt: skip


def _size(node: str, pool: NodePool) -> dict[str, Any]:
    """Say what a node is: the columns of NODES that do not change, and its boards."""
    return {
        "node": node, "boards": float(pool.gpus), "static_watts": _STATIC_WATTS, "cpus": float(pool.cpus),
        "memory_bytes": float(pool.memory_gib * GIBIBYTE), "gpus": float(pool.gpus) if pool.gpus else None,
        "dram_share": None, "covered": 1.0, "meter": METERS[0], "lacks_gpus": False,
    }  # fmt: skip


def _of(kind: Frame, frame: pl.DataFrame, window: int) -> pl.DataFrame:
    """Give a window's rows the columns of their kind; those that nobody computes are null."""
    missing = [name for name in kind.schema if name not in frame.columns]
    columns = frame.with_columns(pl.lit(None).alias(name) for name in missing).with_columns(window=window)
    return kind.of(columns.select(pl.col(name).cast(dtype) for name, dtype in kind.schema.items()))


def _seconds(live: LiveRun, begin: float, end: float) -> float:
    return min(live.run.end or end, end) - max(live.run.start or begin, begin)


def _load(gpus: pl.DataFrame, parts: Sequence[float]) -> pl.DataFrame:
    """Add up the utilisation of all GPUs by node, each for the part of the window in which its run was there."""
    of_runs = pl.Series(parts, dtype=pl.Float64)
    load = gpus.select("node", load=pl.col("utilization") * of_runs.gather(gpus["row"]))
    return load.group_by("node", maintain_order=True).agg(pl.col("load").sum())
