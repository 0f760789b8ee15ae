"""What do jobs, users and accounts do on Lustre, and what of it is whose?"""

from collections.abc import Mapping, Sequence

import polars as pl

from aggregator.engine.frame import Frames, add_columns, side_by_side, total, totals
from aggregator.engine.part import Inputs
from aggregator.model.job_inputs import Runs
from aggregator.model.lustre import SENDERS, UID_NAMES, LustreUse, UidNames
from aggregator.parts.jobs.declare import OF_RUN
from aggregator.parts.lustre.columns import OF_JOBS, RATES
from aggregator.parts.lustre.owners import lone_runs, with_owners


def join_lustre(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Attribute every rate to a part, and all but the unknown to a user; without slurmacct nothing can be said."""
    use, runs, names = inputs.get(LustreUse), inputs.get(Runs), inputs.get(UidNames)
    if use is None or runs is None:
        return {}
    rates = with_owners(_side_by_side(use), runs.runs, names.frame if names else pl.DataFrame(schema=UID_NAMES), use)
    lone = lone_runs(runs.runs, use)
    own = _sums(rates.join(lone, on="job_id"), ["run_id", "filesystem"])
    sums = _sums(rates, ["account", "user", "filesystem", "part"])
    jobs = add_columns(frames["jobs"].drop(column.name for column in OF_JOBS), _of_runs(lone, own, use), on="run_id")
    jobs = jobs.with_columns(pl.col("lustre_is_own").fill_null(value=False))
    known = jobs.select(*OF_RUN, coverage_ratio="lustre_coverage_ratio")
    return {
        "jobs": jobs,
        "job_lustre": add_columns(own, known, on="run_id"),
        "user_lustre": _sums(sums.filter(pl.col("part") != "unknown"), ["account", "user", "filesystem"]),
        "account_lustre": _sums(sums.filter(pl.col("account") != ""), ["account", "filesystem"]),
        "cluster_lustre": _sums(sums, ["filesystem", "part"]),
    }


def _side_by_side(use: LustreUse) -> pl.DataFrame:
    """Put the kinds of rates into a column each, null in the rows of other kinds."""
    keys = pl.DataFrame(schema={**SENDERS, **dict.fromkeys(RATES.values(), pl.Float64)}).drop("rate")
    of_kinds = {RATES[kind]: rates for kind, rates in use.rates.items()}
    return pl.concat([keys, *side_by_side(of_kinds, "rate")], how="diagonal")


def _sums(rates: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Add up each kind of rate; one that is not known of anybody stays null."""
    return rates.group_by(by).agg(totals(RATES.values())).sort(by)


def _of_runs(lone: pl.DataFrame, own: pl.DataFrame, use: LustreUse) -> pl.DataFrame:
    """Give the columns OF_JOBS of runs that are alone: those without any rate have a coverage, too."""
    covered = own.join(_coverage(use.coverage), on="filesystem", how="left").group_by("run_id").agg(
        pl.col("coverage").min(),
        lustre_bytes_per_second=total(_added(RATES["read"], RATES["write"])),
        lustre_metadata_operations_per_second=total(RATES["metadata"]),
        is_shown=pl.lit(value=True),
    )  # fmt: skip
    # What is not seen of any file system is not 0.
    of_all = pl.lit(min(use.coverage.values(), default=None), dtype=pl.Float64)
    coverage = pl.when(pl.col("is_shown").is_null()).then(of_all).otherwise(pl.col("coverage"))
    found = add_columns(lone.select("run_id"), covered, on="run_id")
    return found.with_columns(lustre_coverage_ratio=coverage, lustre_is_own=True).drop("coverage", "is_shown")


def _coverage(shares: Mapping[str, float]) -> pl.DataFrame:
    schema = {"filesystem": pl.String, "coverage": pl.Float64}
    return pl.DataFrame(list(shares.items()), schema=schema, orient="row")


def _added(*columns: str) -> pl.Expr:
    """Add what is known of a row; null where nothing is."""
    values = [pl.col(name) for name in columns]
    return pl.when(pl.any_horizontal(value.is_not_null() for value in values)).then(pl.sum_horizontal(values))
