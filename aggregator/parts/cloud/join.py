"""Which instances idle, and what do the instances of a project add up to?"""

import polars as pl

from aggregator.engine.frame import Frames, pairs, ratio, total, totals
from aggregator.engine.part import Inputs
from aggregator.model.cloud import RATES, IdleRule
from aggregator.model.instances import CloudUse
from aggregator.model.storage import Allocations
from aggregator.parts.cloud.idle import judge
from aggregator.parts.cloud.inputs import Cloud


def join_cloud(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Judge the instances of one cloud, and add them up by project; one with members and no instance has 0."""
    use = inputs.get(CloudUse)
    if use is None:
        return {}
    cloud, allocations = inputs.get(Cloud) or Cloud(""), inputs.get(Allocations) or Allocations(at)
    members = pairs(allocations.project_members.get(cloud.name, {}), "project", "user")
    instances = use.instances.with_columns(judge(cloud.rule))
    hypervisors = pl.DataFrame(
        {"hypervisor": list(use.hypervisors), "up": list(use.hypervisors.values())},
        schema={"hypervisor": pl.String, "up": pl.Boolean},
    )
    return {
        "cloud": _cloud(instances, cloud.rule),
        "instances": instances.sort("project", "uuid"),
        "projects": _projects(instances, members).sort("project"),
        "hypervisors": hypervisors,
        "hypervisor_states": _states(hypervisors),
        "members": members,
    }


def _sums() -> list[pl.Expr]:
    """Add up instances; a sum is null when it is known of none."""
    idle, judged = pl.col("idle").fill_null(value=False), pl.col("idle").count()
    memory, is_known = pl.col("memory_bytes"), pl.col("memory_used_bytes").is_not_null()
    return [
        *totals(RATES),
        pl.len().alias("instances"),
        judged.alias("judged"),
        pl.when(judged > 0).then(idle.sum()).alias("idle_instances"),
        # Of instances that were judged none idles; of those that were not nothing is known.
        *(
            pl.when(idle.any()).then(total(pl.col(name).filter(idle))).when(judged > 0).then(0.0).alias(f"idle_{name}")
            for name in ("vcpus", "memory_bytes")
        ),
        ratio(memory.filter(is_known).sum(), memory.sum()).alias("memory_coverage_ratio"),
    ]


def _cloud(instances: pl.DataFrame, rule: IdleRule) -> pl.DataFrame:
    return instances.select(_sums()).with_columns(
        rule_duration_seconds=rule.duration,
        rule_cpu_ratio=rule.cpu_ratio,
        rule_network_bytes_per_second=rule.network_bytes_per_second,
    )


def _projects(instances: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    sums = instances.group_by("project").agg(_sums())
    empty = members.select("project").unique().join(sums, on="project", how="anti")
    return pl.concat([sums, empty.with_columns(instances=0, judged=0)], how="diagonal_relaxed")


def _states(hypervisors: pl.DataFrame) -> pl.DataFrame:
    """Count those that answer and those that do not; without any hypervisor nothing is counted."""
    up = hypervisors["up"].sum()
    counts = pl.DataFrame({"state": ["up", "down"], "count": [up, hypervisors.height - up]})
    return counts if hypervisors.height else counts.clear()
