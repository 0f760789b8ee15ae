"""What sources have brought as objects, as frames."""

from collections.abc import Mapping

import polars as pl

from aggregator.model.job_inputs import BASES, GPUS, NODE_VALUES, OF_NODES, Bases
from aggregator.model.job_inputs import Use as UseFrames
from aggregator.model.use import Base, Use


def use_of(use: Use) -> UseFrames:
    """Give a fetch of use as columns."""
    values = {
        name: pl.DataFrame(
            [(job, node, value) for job, nodes in found.items() for node, value in nodes.items()],
            schema=NODE_VALUES,
            orient="row",
        )
        for name in OF_NODES
        if (found := getattr(use, name)) is not None
    }
    gpus = None
    if use.gpus is not None:
        rows = [(job, gpu.node, gpu.utilization, gpu.memory_bytes) for job, of in use.gpus.items() for gpu in of]
        gpus = pl.DataFrame(rows, schema=GPUS, orient="row")
    return UseFrames(
        time=use.time, interval=use.interval, cpu_window=use.cpu_window, values=values, gpus=gpus,
        healthy_nodes=use.healthy_nodes, gpu_nodes=use.gpu_nodes, oldest=use.oldest, failed=use.failed,
    )  # fmt: skip


def bases_of(bases: Mapping[int, Base]) -> Bases:
    """Give the bases of resized runs as columns."""
    rows = [
        (run_id, node, at, base.cpu_seconds.get(node), base.memory_peak_bytes.get(node))
        for run_id, base in bases.items()
        for node, at in base.sampled_at.items()
    ]
    return Bases(pl.DataFrame(rows, schema=BASES, orient="row"))
