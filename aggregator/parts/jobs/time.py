"""How long runs have run, and what they hold now, as expressions over the columns of RUNS."""

import polars as pl

IS_OPEN = pl.col("end").is_null()
# On its nodes now: started, not ended.
HOLDS = IS_OPEN & pl.col("start").is_not_null() & pl.col("state").is_in(["running", "suspended"])


# CPUs that it has now: none while suspended. A run without any CPU is one of which slurmdbd does not say.
ALLOCATED_CPUS = pl.when(pl.col("granted_cpus") > 0).then(
    pl.when(pl.col("state") == "suspended").then(0).otherwise("granted_cpus")
)


def elapsed(at: pl.Expr) -> pl.Expr:
    """Give the seconds that a run has run by a time, suspensions apart; 0 before it has started."""
    until = pl.min_horizontal(pl.col("end"), at)
    running = until - pl.col("start") - pl.col("suspended_seconds")
    suspended = pl.min_horizontal(until, pl.col("suspended_since")) - pl.col("start")
    seconds = pl.when(pl.col("suspended_since").is_null()).then(running).otherwise(suspended)
    return pl.when(pl.col("start").is_null()).then(0.0).otherwise(seconds.clip(lower_bound=0.0))


def limited_seconds(at: pl.Expr) -> pl.Expr:
    """Give the seconds that count against the time limit, which is the job's, by a time."""
    return elapsed(at) + (pl.col("start") - pl.col("job_start")).fill_null(0.0)
