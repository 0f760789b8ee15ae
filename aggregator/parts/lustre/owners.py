"""Whose input and output do Lustre's servers see?

A job id lives on through requeues: a rate belongs to a run only when no other run of the id can have had a part of the
window, to a user and account when all runs that can have had one are theirs. slurmacct is believed before the proxy's
labels, which name the first run that was ever found. What cannot be told is unknown, and never left out.
"""

from typing import Final

import polars as pl

from aggregator.engine.frame import add_columns
from aggregator.model.lustre import LustreUse

# Clocks of servers, Slurm and Prometheus may differ by this much.
SKEW_SECONDS: Final = 30.0
_JOB_ID: Final = pl.col("job_id")
_UID: Final = pl.col("uid")


def with_owners(rates: pl.DataFrame, runs: pl.DataFrame, names: pl.DataFrame, use: LustreUse) -> pl.DataFrame:
    """Add the column part to rates of senders, and put their owners into user and account ("" in what is unknown).

    runs (RUNS) tell whose a job id is, names (UID_NAMES) who has a uid.
    """
    joined = add_columns(rates, _owners(runs, use), on="job_id")
    joined = add_columns(joined, names, on="uid")
    by_slurm = _JOB_ID.is_not_null() & (pl.col("owners") == 1)
    is_stranger = _JOB_ID.is_not_null() & pl.col("owners").is_null()
    by_proxy = is_stranger & (pl.col("user") != "") & (pl.col("account") != "")
    is_process = _JOB_ID.is_null() & _UID.is_not_null()
    user = pl.when(by_slurm).then(pl.col("owner")).when(by_proxy).then(pl.col("user")).when(is_process).then(_name())
    account = pl.when(by_slurm).then(pl.col("charged")).when(by_proxy).then(pl.col("account"))
    part = pl.when(by_slurm | by_proxy).then(pl.lit("jobs")).when(is_process).then(pl.lit("users"))
    return joined.with_columns(
        user=user.otherwise(pl.lit("")), account=account.otherwise(pl.lit("")), part=part.otherwise(pl.lit("unknown"))
    )


def lone_runs(runs: pl.DataFrame, use: LustreUse) -> pl.DataFrame:
    """Choose those runs (RUNS) that are the only ones of their job id in the window, and not younger than a scrape."""
    present = runs.select("run_id", "job_id", "start", "end").filter(_in_window(use))
    is_old_enough = use.time - pl.col("start") >= use.interval
    return present.filter(pl.col("job_id").is_unique() & is_old_enough).select("run_id", "job_id")


def _owners(runs: pl.DataFrame, use: LustreUse) -> pl.DataFrame:
    """Count the owners of each job id, and name one: of the runs that can have caused what is shown, else of all.

    Data that clients write back late belong to a job that has ended before the window.
    """
    placed = runs.select("job_id", "account", "user", "start", "end", is_only=pl.col("job_id").is_unique())
    several = placed.filter(~pl.col("is_only")).with_columns(is_present=_in_window(use))
    believed = several.filter(pl.col("is_present") | ~pl.col("is_present").any().over("job_id"))
    each = believed.select("job_id", "account", "user").unique()
    of_several = each.group_by("job_id").agg(
        owners=pl.len(), owner=pl.col("user").first(), charged=pl.col("account").first()
    )
    of_one = placed.filter("is_only").select(
        "job_id", owners=pl.lit(1, pl.UInt32), owner="user", charged="account"
    )  # fmt: skip
    return pl.concat([of_one, of_several])


def _in_window(use: LustreUse) -> pl.Expr:
    """Tell whether a run can have caused what the window shows."""
    begin, end = use.time - use.window - SKEW_SECONDS, use.time + SKEW_SECONDS
    has_begun = pl.col("start").is_not_null() & (pl.col("start") <= end)
    return has_begun & (pl.col("end").fill_null(end) >= begin)


def _name() -> pl.Expr:
    """Name the user of a process: as slurmacct does, else as the proxy does, else by the uid itself."""
    names = [pl.when(name != "").then(name) for name in (pl.col("name"), pl.col("user"))]
    return pl.when(_UID == 0).then(pl.lit("root")).otherwise(pl.coalesce(*names, _UID.cast(pl.String)))
