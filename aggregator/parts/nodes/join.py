"""What is on each node now, what do slurmctld and its own exporters say of it, and what is not seen?"""

from collections.abc import Collection
from typing import Final

import polars as pl

from aggregator.engine.frame import Frames, add_columns, total, totals
from aggregator.engine.part import Inputs
from aggregator.model.job_inputs import Runs, Use
from aggregator.model.node_inputs import Hosts, ListedNodes, Scheduler
from aggregator.parts.jobs.time import ALLOCATED_CPUS, HOLDS, elapsed
from aggregator.parts.nodes.agreement import compare_gpus
from aggregator.parts.nodes.observed import missed_by_node, with_cause, with_observed
from aggregator.parts.nodes.partitions import join_partitions
from aggregator.parts.nodes.settings import NodeSettings
from aggregator.parts.nodes.spread import spread

_IS_COMPUTE: Final = pl.col("kind") == "compute"
_TOTAL: Final = pl.col("state") == "total"
_OF_RUN: Final = (
    "run_id", "job_id", "state", "start", "end", "suspended_seconds", "suspended_since", "nodes", "granted_cpus",
    "granted_memory_bytes", "granted_gpus",
)  # fmt: skip


def join_nodes(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Join everything that is known of nodes and partitions; without slurmacct only what slurmctld says of them all."""
    runs, use, scheduler = inputs.get(Runs), inputs.get(Use), inputs.get(Scheduler)
    said = _slurmctld(scheduler) if scheduler else {}
    if runs is None:
        return said
    scheduler = scheduler or Scheduler(time=at)
    nodes = _known_nodes(runs.runs, use, scheduler, inputs)
    tenants = with_observed(_tenants(runs.runs, nodes, use.time if use else at), use)
    of_nodes = add_columns(nodes, _held(tenants), on="node")
    gpus = compare_gpus(runs.runs, use)
    return {
        **said,
        "nodes": _of_compute(with_cause(_with_gpus(of_nodes, use), use)),
        "node_states": _states(nodes),
        "node_gpus": _gpus(tenants, runs.gpus),
        "node_runs": tenants.sort("node", "run_id"),
        **join_partitions(runs, scheduler),
        "gpu_agreement": pl.DataFrame([{"agrees": gpus.agrees, "warning": gpus.warning or None}]),
    }


def _slurmctld(scheduler: Scheduler) -> Frames:
    """Take totals from states: whoever adds up the states has them."""
    totals = scheduler.states.filter(_TOTAL).select("cpus", "gpus")
    row = {name: totals[name].max() for name in totals.columns}
    return {
        "slurmctld": pl.DataFrame([{**row, "repairs": list(scheduler.repairs)}]),
        "slurmctld_states": scheduler.states.filter(~_TOTAL).sort("state"),
    }


def _known_nodes(runs: pl.DataFrame, use: Use | None, scheduler: Scheduler, inputs: Inputs) -> pl.DataFrame:
    """List the nodes by name with what slurmctld and their own exporters say.

    They are those that slurmacct or slurmctld lists, else the targets of slurm-job-exporter; those with runs; and the
    hosts that are configured to be no compute nodes, which Slurm does not know.
    """
    settings, hosts = inputs.get(NodeSettings) or NodeSettings(), inputs.get(Hosts)
    listed = inputs.get(ListedNodes) or ListedNodes()
    names: Collection[str] = {*listed.names, *scheduler.nodes["node"]} or (use and use.healthy_nodes) or ()
    tenanted = runs.select("nodes", holds=HOLDS).filter("holds")["nodes"].explode(empty_as_null=True).unique()
    kinds = dict.fromkeys({*names, *tenanted.drop_nulls()} - {""}, "compute") | dict(settings.kinds)
    named = pl.DataFrame(
        {"node": list(kinds), "kind": list(kinds.values())}, schema={"node": pl.String, "kind": pl.String}
    )
    said = scheduler.nodes.filter(~pl.col("node").is_in(list(settings.kinds)))
    shown = (hosts or Hosts(time=0.0)).frame.rename({"cpus": "counting_cpus"})
    return _columns(add_columns(add_columns(named.sort("node"), said, on="node"), shown, on="node"))


def _columns(found: pl.DataFrame) -> pl.DataFrame:
    """Name what is known of nodes as their table does; what slurmctld says of a size goes before node_exporter."""

    def less(whole: str, part: str) -> pl.Expr:
        return (pl.col(whole) - pl.col(part)).clip(lower_bound=0.0)

    return found.select(
        "node", "kind", "state", "flags", "features", "gpus", "scratch_bytes",
        cpus=pl.coalesce("cpus", "counting_cpus"),
        memory_bytes=pl.coalesce("memory_bytes", "memory_total_bytes"),
        slurmctld_allocated_cpus="cpus_allocated",
        slurmctld_allocated_memory_bytes="memory_allocated_bytes",
        slurmctld_allocated_gpus="gpus_allocated",
        load="load1",
        busy_cpus=less("counting_cpus", "resting_cpus"),
        memory_used_bytes=less("memory_total_bytes", "memory_available_bytes"),
        scratch_used_bytes=less("scratch_bytes", "scratch_available_bytes"),
    )  # fmt: skip


def _tenants(runs: pl.DataFrame, nodes: pl.DataFrame, at: float) -> pl.DataFrame:
    """List the runs on each compute node, with what they hold there and for how long they have run by a time."""
    compute = nodes.filter(_IS_COMPUTE).select("node", "cpus", "memory_bytes", "gpus")
    holding = runs.select(_OF_RUN).filter(HOLDS).select(
        "run_id", "job_id", "granted_gpus", "nodes",
        cpus=ALLOCATED_CPUS,
        memory_bytes="granted_memory_bytes",
        gpus="granted_gpus",
        elapsed=elapsed(pl.lit(at)),
    )  # fmt: skip
    parts = spread(holding, compute).join(compute, on="node", how="semi")
    of_run = add_columns(parts, holding.select("run_id", "job_id", "granted_gpus", "elapsed"), on="run_id")
    several = pl.when(pl.col("granted_gpus") > 0).then(pl.col("gpus") / pl.col("granted_gpus")).otherwise(0.0)
    return of_run.select(
        "node", "run_id", "job_id", "elapsed",
        allocated_cpus="cpus", allocated_memory_bytes="memory_bytes", estimated="is_estimated",
        gpus_ratio=pl.when("is_estimated").then(several).otherwise(1.0),
    )  # fmt: skip


def _held(tenants: pl.DataFrame) -> pl.DataFrame:
    """Add up the runs of each node; what is not known of any of them is not known of the node."""
    sums = tenants.group_by("node").agg(
        *totals(["allocated_cpus", "allocated_memory_bytes"]),
        allocated_estimated=pl.col("estimated").any(),
        jobs=pl.col("job_id").n_unique(),
    )
    return add_columns(sums, missed_by_node(tenants), on="node")


def _with_gpus(nodes: pl.DataFrame, use: Use | None) -> pl.DataFrame:
    """Count the GPUs of jobs that have a series on each node, and add up their utilisation."""
    if use is None or use.gpus is None:
        return nodes.with_columns(observed_gpus=None, used_gpus=None)
    found = use.gpus.group_by("node").agg(observed_gpus=pl.len(), used_gpus=total("utilization"))
    return add_columns(nodes, found, on="node").with_columns(pl.col("observed_gpus").fill_null(0))


def _of_compute(nodes: pl.DataFrame) -> pl.DataFrame:
    """Say of compute nodes without runs that nothing is held, and of other hosts nothing about jobs."""
    is_empty = pl.col("jobs").is_null()
    held = nodes.with_columns(
        pl.when(is_empty).then(0.0).otherwise(name).alias(name) for name in ("allocated_cpus", "allocated_memory_bytes")
    ).with_columns(pl.col("allocated_estimated").fill_null(value=False), pl.col("jobs").fill_null(0))
    of_jobs = (
        "allocated_cpus", "allocated_memory_bytes", "allocated_estimated", "jobs", "unobserved_jobs", "cause",
        "exporter_up", "exporter_blind", "observed_gpus", "used_gpus",
    )  # fmt: skip
    return held.with_columns(pl.when(_IS_COMPUTE).then(name).alias(name) for name in of_jobs)


def _states(nodes: pl.DataFrame) -> pl.DataFrame:
    """List each node's state, and each of its flags."""
    words = nodes.filter(pl.col("state").is_not_null()).select(
        "node", state=pl.concat_list("state", pl.col("flags").fill_null([])).list.unique(maintain_order=True)
    )
    return words.explode("state", empty_as_null=True)


def _gpus(tenants: pl.DataFrame, gpus: pl.DataFrame) -> pl.DataFrame:
    """Add up the GPUs that runs hold of each node by type (RUN_GPUS)."""
    held = tenants.select("node", "run_id", "gpus_ratio").join(gpus, on="run_id")
    counts = held.group_by("node", "gpu_type").agg(count=(pl.col("gpus_ratio") * pl.col("count")).sum())
    return counts.sort("node", "gpu_type")
