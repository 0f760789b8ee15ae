"""What has been used in windows of time, and what is left of usage: slurmdbd's roll-ups, and the runs' rows since?"""

import math
from collections.abc import Collection, Mapping

import polars as pl

from aggregator.model.decay import Decay
from aggregator.model.job_inputs import Runs
from aggregator.model.run_usage import used_between, with_ended
from aggregator.model.usage import DecayedUsage, LeftUsage, Usage, UsageCatalog, UsageSums, is_of_jobs, tail_begin
from aggregator.parts.accounts.tree import ancestors

USER_WINDOW = "30d"
_SUM = pl.col("seconds").sum()


def sum_usage(usage: Usage, runs: Runs) -> UsageSums | None:
    """Add up all windows as of the reading, the runs' rows since the last roll-up included; None when not known.

    runs are the open ones, and those that had ended before; those that have since are in the reading.
    """
    catalog = usage.catalog
    if catalog is None or "hour" not in catalog.first or tail_begin(usage.until, usage.time) is None:
        return None
    # What begins after the last roll-up, as a fiscal year does on its first day, is not known yet.
    windows = [name for name, begin in usage.windows.items() if begin <= usage.until]
    every = with_ended(runs, usage.ended)
    own = pl.concat([_rolled(usage, catalog, windows), _since(usage, every, windows)])
    sums = own.group_by("account", "user", "tres", "window").agg(_SUM)
    is_kept = (pl.col("window") == USER_WINDOW) & (pl.col("seconds") != 0) & (pl.col("user") != "")
    return UsageSums(
        usage.until,
        _of_accounts(sums, catalog, windows),
        # Users are many: one window of each, and only who has used something.
        sums.filter(is_kept).sort("account", "user", "tres"),
        usage.cluster.filter(pl.col("window").is_in(windows)),
        _left(usage.decayed, catalog, every, usage.time) if usage.decayed else None,
    )


def _rolled(usage: Usage, catalog: UsageCatalog, windows: Collection[str]) -> pl.DataFrame:
    found = usage.associations.filter(pl.col("window").is_in(list(windows))).join(_named(catalog), on="association_id")
    return found.select("account", "user", "tres", "window", "seconds")


def _named(catalog: UsageCatalog) -> pl.DataFrame:
    rows = [(number, *names) for number, names in catalog.associations.items()]
    return pl.DataFrame(
        rows, schema={"association_id": pl.Int64, "user": pl.String, "account": pl.String}, orient="row"
    )


def _since(usage: Usage, runs: Runs, windows: Collection[str]) -> pl.DataFrame:
    """Add up what runs have used since the last roll-up, which is in every window."""
    used = used_between(runs, usage.until, usage.time)
    of_jobs = used.filter(pl.col("tres").is_in(list(filter(is_of_jobs, used["tres"].unique()))))
    named = of_jobs.join(runs.runs.select("run_id", "account", "user"), on="run_id")
    sums = named.group_by("account", "user", "tres").agg(_SUM)
    every = sums.join(pl.DataFrame({"window": list(windows)}, schema={"window": pl.String}), how="cross")
    return every.select("account", "user", "tres", "window", "seconds")


def _of_accounts(sums: pl.DataFrame, catalog: UsageCatalog, windows: Collection[str]) -> pl.DataFrame:
    """Add each account's usage to the account and to all above it; who has used nothing has 0."""
    live = pl.DataFrame({"account": sorted(catalog.live_accounts)}, schema={"account": pl.String})
    tres = sorted(filter(is_of_jobs, set(catalog.tres.values())))
    shown = live.join(pl.DataFrame({"tres": tres}, schema={"tres": pl.String}), how="cross")
    zeros = shown.join(pl.DataFrame({"window": list(windows)}, schema={"window": pl.String}), how="cross")
    upwards = up_the_tree(sums.group_by("account", "tres", "window").agg(_SUM), catalog.parents)
    found = pl.concat([zeros.with_columns(seconds=0.0), upwards.select("account", "tres", "window", "seconds")])
    added = found.join(live, on="account", how="semi").group_by("account", "tres", "window").agg(_SUM)
    return added.sort("account", "tres", "window")


def up_the_tree(sums: pl.DataFrame, parents: Mapping[str, str]) -> pl.DataFrame:
    """Give the rows of each account to the account itself and to all above it; parents is account → parent."""
    tree = pl.DataFrame(list(parents.items()), schema={"account": pl.String, "parent": pl.String}, orient="row")
    unknown = sums.select("account", parent=pl.lit("")).unique().join(tree, on="account", how="anti")
    above = ancestors(pl.concat([tree, unknown])).select("account", "above")
    # What has no account is nobody's.
    found = sums.filter(pl.col("account") != "").join(above, on="account")
    return found.drop("account").rename({"above": "account"})


def _left(decayed: DecayedUsage, catalog: UsageCatalog, runs: Runs, now: float) -> LeftUsage | None:
    """Bring what was read to `now` and add what runs have used since, of every association and up the tree.

    None when the last roll-up is too long ago. A deleted association's usage stays with the accounts above it.
    """
    if tail_begin(decayed.until, now) is None:
        return None
    # One that nobody has used may have been removed since it was read.
    read = decayed.associations.join(_named(catalog), on="association_id").with_columns(
        seconds=pl.col("seconds") * decayed.decay.weight(now - decayed.time)
    )
    columns = ("association_id", "account", "tres", "seconds")
    own = pl.concat([read.select(columns), _left_of_runs(decayed, catalog, runs, now).select(columns)])
    known = own.filter(pl.col("association_id").is_not_null())
    accounts = up_the_tree(own.group_by("account", "tres").agg(_SUM), catalog.parents)
    return LeftUsage(
        decayed.tres,
        known.group_by("association_id", "tres").agg(_SUM),
        accounts.group_by("account", "tres").agg(_SUM),
    )


def _left_of_runs(decayed: DecayedUsage, catalog: UsageCatalog, runs: Runs, now: float) -> pl.DataFrame:
    """Give what is left of what runs have used since the roll-up; they used it evenly while they ran."""
    begin = pl.max_horizontal(pl.col("start").fill_null(0.0), decayed.until)
    left = mean_weight(decayed.decay, begin, pl.min_horizontal("end", now), now)
    named = _named(catalog).unique(["user", "account"], keep="last").rename({"association_id": "of_name"})
    of_runs = runs.runs.join(named, on=["user", "account"], how="left").select(
        "run_id", "account", association_id=pl.coalesce("association_id", "of_name"), left=left
    )
    used = used_between(runs, decayed.until, now).filter(pl.col("tres").is_in(list(decayed.tres)))
    return used.join(of_runs, on="run_id").with_columns(seconds=pl.col("seconds") * pl.col("left"))


def mean_weight(decay: Decay, begin: pl.Expr, end: pl.Expr, at: float) -> pl.Expr:
    """Give what is left at `at` of usage that was spread evenly over [begin, end), as `Decay.mean_weight` does."""
    rate = decay.halvings_per_second * math.log(2)
    left, fading = (-rate * (at - end)).exp(), (end - begin) * rate
    # 1 - exp(-x), which Polars has only as a difference, whose digits are few where x is small.
    half = (fading / 2).tanh()
    return pl.when(fading > 0).then(left * (2 * half / (1 + half) / fading)).otherwise(left)
