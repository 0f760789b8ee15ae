"""What do the open jobs of a user, and of an account, add up to?"""

from typing import Final

import polars as pl

# On its nodes now.
HOLDS: Final = (
    pl.col("is_open")
    & pl.col("start_timestamp_seconds").is_not_null()
    & pl.col("state").is_in(["running", "suspended"])
)
_USER: Final = ("user", "account")
_ACCOUNT: Final = ("account",)
_HAS_POWER: Final = pl.col("node_watts").is_not_null() | pl.col("gpu_watts").is_not_null()
# One that ended in the ledger's last window has its part of that window's power.
_COUNTS: Final = pl.col("is_open") | _HAS_POWER
_HELD: Final = ("allocated_cpus", "allocated_memory_bytes")
# Column of the sums → what is added up of the running jobs; null where it is known of none.
_ADDED: Final = {
    "used_cpus": pl.col("used_cpus"),
    "used_memory_bytes": pl.col("memory_used_bytes"),
    "memory_peak_bytes": pl.col("memory_peak_bytes"),
    "used_gpus": pl.col("gpu_utilization_ratio") * pl.col("gpus_judged"),
    "busy_gpus": pl.col("gpus_busy"),
    **{
        name: pl.col(name)
        for name in (
            "wasted_cpus", "wasted_memory_bytes", "wasted_gpus", "wasted_cpu_seconds", "wasted_gpu_seconds",
            "allocated_gpu_units", "wasted_gpu_units", "wasted_gpu_unit_seconds",
        )
    },
}  # fmt: skip
_MEMORY: Final = pl.col("allocated_memory_bytes")
# What the coverage of a job weighs. Jobs that hold no memory weigh alike, beside others nothing.
_WEIGHTS: Final = {
    "cpu": pl.col("allocated_cpus").fill_null(0.0),
    "memory": pl.when(_MEMORY > 0).then(_MEMORY).otherwise(1.0),
    "gpu": pl.col("allocated_gpus").fill_null(0.0),
}
_OF_RUNNING: Final = {
    **{name: pl.col(name) for name in _HELD},
    **_ADDED,
    **{f"{name}_weight": weight for name, weight in _WEIGHTS.items()},
    # An unknown coverage covers nothing.
    **{f"{name}_covered": pl.col(f"{name}_coverage_ratio").fill_null(0.0) * each for name, each in _WEIGHTS.items()},
}
_POWER: Final = pl.when(_HAS_POWER).then(pl.sum_horizontal("node_watts", "gpu_watts"))
# A filter costs by the column.
_NEEDED: Final = {name for value in (*_OF_RUNNING.values(), HOLDS, _COUNTS) for name in value.meta.root_names()}
_AMOUNTS: Final = (*_OF_RUNNING, "power_watts")
_KNOWN: Final = "known_"


def sum_jobs(jobs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add up the running jobs of each user under an account, and of each account, that has an open job, or drew power.

    Held is what jobs hold now, null where it is known of none: no CPUs while suspended, and no memory where Slurm does
    not manage it. Where none runs nothing is held, and no coverage is known.
    """
    counted = jobs.select(*_USER, *_NEEDED).filter(_COUNTS).with_columns(runs=HOLDS)
    running = [pl.when("runs").then(value).alias(name) for name, value in _OF_RUNNING.items()]
    amounts = counted.select(*_USER, "runs", *running, power_watts=_POWER)
    users = (
        amounts.group_by(_USER)
        .agg(pl.col(_AMOUNTS).sum(), pl.col(_AMOUNTS).count().name.prefix(_KNOWN), pl.col("runs").any())
        .sort(_USER)
    )  # floats add up to the same in the same order only
    accounts = users.group_by(_ACCOUNT).agg(pl.exclude("user", "runs").sum(), pl.col("runs").any())
    return _sums(users, _USER), _sums(accounts.sort(_ACCOUNT), _ACCOUNT)


def _sums(added: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """Give what is known of sums; of nothing held all is covered."""
    known = {name: pl.when(pl.col(_KNOWN + name) > 0).then(pl.col(name)) for name in _AMOUNTS}
    return added.select(
        *by,
        *(pl.when("runs").then(known[name]).otherwise(0.0).alias(name) for name in _HELD),
        *(known[name].alias(name) for name in (*_ADDED, "power_watts")),
        *(pl.when("runs").then(_coverage(name)).alias(f"{name}_coverage_ratio") for name in _WEIGHTS),
    )


def _coverage(name: str) -> pl.Expr:
    held = pl.col(f"{name}_weight")
    return pl.when(held > 0).then(pl.col(f"{name}_covered") / held).otherwise(1.0)


def count_states(jobs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count the open jobs of each user and account by state; a not yet split array counts as its tasks."""
    tasks = pl.max_horizontal(1, pl.col("pending_tasks"))
    return _counts(jobs.select(*_USER, "state", "is_open", count=tasks).filter("is_open"), "state")


def count_gpus(jobs: pl.DataFrame, gpus: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count the GPUs that the running jobs of each user and account hold by type (JOB_GPUS)."""
    running = jobs.select("run_id", holds=HOLDS).filter("holds")
    return _counts(gpus.join(running, on="run_id", how="semi"), "gpu_type")


def count_findings(findings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count the findings of each user and account by reason and severity (WASTE, which has running jobs only)."""
    named = findings.select(*_USER, "reason", pl.col("severity").cast(pl.String), count=pl.lit(1, pl.Int64))
    return _counts(named, "reason", "severity")


def _counts(rows: pl.DataFrame, *labels: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Add up the column count of users, and of accounts, by labels."""
    users = rows.group_by(*_USER, *labels).agg(pl.col("count").sum())
    accounts = users.group_by(*_ACCOUNT, *labels).agg(pl.col("count").sum())
    return users.sort(*_USER, *labels), accounts.sort(*_ACCOUNT, *labels)
