"""From values over some windows to the frames of the ledger: what is known of nodes, of use and of GPUs."""

from collections.abc import Mapping
from dataclasses import astuple, fields
from typing import Final

import polars as pl

from aggregator.model.energy import METERS
from aggregator.model.readings import GPUS, METER, NODES, USED, NodeSize, Windows
from aggregator.sources.prometheus.vector import side_by_side

# By which rows of values are told apart, beside the number of their window.
OF_NODE: Final = ("window", "node")
OF_JOB: Final = ("window", "job_id", "node")
OF_GPU: Final = (*OF_JOB, "gpu")
_SIZES: Final = tuple(field.name for field in fields(NodeSize))
# The values of nodes; those of exporters that are not configured are null.
NODE_VALUES: Final = (
    "node_watts", "node_moments", "package_watts", "package_moments", "dram_watts", "cpus", "resting_cpus",
    "memory_total_bytes", "dcgm_gpu_watts", "dcgm_gpus", "nvidia_gpu_watts", "nvidia_gpus", "healthy_nodes",
)  # fmt: skip


def used_frame(cpus: pl.DataFrame, memory: pl.DataFrame) -> pl.DataFrame:
    """Give the frame USED."""
    values = {"used_cpus": cpus, "used_memory_bytes": memory}
    return USED.of(side_by_side(values, OF_JOB, tuple(values)))


def gpus_frame(utilization: pl.DataFrame, watts: pl.DataFrame) -> pl.DataFrame:
    """Give the frame GPUS: the utilisation of a GPU and the power of its board are a row each."""
    rows = [frame.rename({"value": name}) for name, frame in (("utilization", utilization), ("watts", watts))]
    return GPUS.of(pl.concat([GPUS.empty(), *(row.drop("gpu") for row in rows)], how="diagonal"))


def nodes_frame(
    values: Mapping[str, pl.DataFrame], at_rest: pl.DataFrame, gpu_nodes: pl.DataFrame, known: Mapping[str, NodeSize]
) -> pl.DataFrame:
    """Give the frame NODES.

    values are by name (NODE_VALUES). at_rest has static_watts of hosts, gpu_nodes the nodes whose exporters can show
    GPUs, both by window and node. What the configuration says of a node (known) wins over what is measured.
    """
    healthy = pl.col("healthy_nodes").is_not_null()
    nodes = (
        side_by_side(values, OF_NODE, NODE_VALUES)
        .join(at_rest, on=OF_NODE, how="left", validate="1:1")
        .join(gpu_nodes.with_columns(shows_gpus=True), on=OF_NODE, how="left", validate="1:1")
        .with_columns(**_measured())
        .with_columns(**_by_processors())
        .with_columns(
            vouches_cpus=healthy, vouches_memory=healthy, vouches_gpus=healthy & pl.col("shows_gpus").fill_null(False)
        )
    )
    return NODES.of(_corrected(nodes, known).sort(OF_NODE))


def _measured() -> Mapping[str, pl.Expr]:
    package, dram = pl.col("package_watts"), pl.col("dram_watts")
    return {
        "watts": pl.col("node_watts"),
        "gpu_watts": pl.coalesce("dcgm_gpu_watts", "nvidia_gpu_watts"),
        "busy_cpus": (pl.col("cpus") - pl.col("resting_cpus")).clip(0.0),
        "memory_bytes": pl.col("memory_total_bytes"),
        "gpus": pl.coalesce("dcgm_gpus", "nvidia_gpus").round(),
        "dram_share": pl.when(package > 0).then(dram / (package + dram)),
    }


def _by_processors() -> Mapping[str, pl.Expr]:
    """Tell what measured a node: without a chassis metric it is its processors, memory and GPUs."""
    package, gpus = pl.col("package_watts"), pl.col("gpu_watts")
    is_rapl = pl.col("watts").is_null() & (package > 0).fill_null(False)
    sum_of_parts = package + pl.col("dram_watts").fill_null(0.0) + gpus.fill_null(0.0)
    better, worse = (pl.lit(meter, dtype=METER) for meter in METERS)
    return {
        "watts": pl.when(is_rapl).then(sum_of_parts).otherwise("watts"),
        "covered": pl.when(is_rapl).then("package_moments").otherwise("node_moments").fill_null(0.0),
        "meter": pl.when(is_rapl).then(worse).otherwise(better),
        "lacks_gpus": is_rapl & gpus.is_null(),
    }


def _corrected(nodes: pl.DataFrame, known: Mapping[str, NodeSize]) -> pl.DataFrame:
    rows = [(node, *astuple(size)) for node, size in known.items()]
    said = pl.DataFrame(
        rows, schema={"node": pl.String, **{f"said {name}": pl.Float64 for name in _SIZES}}, orient="row", strict=False
    )
    joined = nodes.join(said, on="node", how="left", validate="m:1")
    return joined.with_columns(pl.coalesce(f"said {name}", name).alias(name) for name in _SIZES)


def rest_frame(windows: Windows, hours: Mapping[float, Mapping[str, float]], hour: float) -> pl.DataFrame:
    """Give the power of hosts at rest in each window: that of the full hour (a multiple of `hour`) before its end."""
    rows = [(begin, node, watts) for begin, of_nodes in hours.items() for node, watts in of_nodes.items()]
    schema = {"hour": pl.Float64, "node": pl.String, "static_watts": pl.Float64}
    ends = windows.frame().select("window", hour=pl.col("window_end") - pl.col("window_end") % hour)
    return ends.join(pl.DataFrame(rows, schema=schema, orient="row"), on="hour").drop("hour")
