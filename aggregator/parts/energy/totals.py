"""What has been added up of one cluster until the end of the last closed window."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.parts.energy.frames import (
    BEST_METERS,
    NODE_TOTALS,
    RUN_COSTS,
    RUN_TOTALS,
    USER_COSTS,
    USER_TOTALS,
    Frame,
    known_add,
    sum_by,
)
from aggregator.parts.energy.window import Gains

# Longer than any retention of ended jobs on the page needs to be.
KEEP_ENDED_SECONDS: Final = 3600.0
# Of these a gain that says so is what there is now, not what comes on top.
_SINCE_BUSY: Final = {
    "gpu_idle_seconds": "was_busy",
    "gpu_unseen_seconds": "was_busy",
    "gpu_partly_idle_seconds": "was_all_busy",
    "gpu_partly_unseen_seconds": "was_all_busy",
}
_KEPT: Final = ("since",)
# A gain knows the best meter before it.
_REPLACED: Final = ("until", "meter")


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """All that is added up: the frames RUN_TOTALS, RUN_COSTS, USER_TOTALS, USER_COSTS and NODE_TOTALS.

    window_end is epoch seconds. runs and run_costs have the open runs and those that ended lately.
    """

    window_end: float
    runs: pl.DataFrame
    run_costs: pl.DataFrame
    users: pl.DataFrame
    user_costs: pl.DataFrame
    nodes: pl.DataFrame

    @property
    def meters(self) -> pl.DataFrame:
        """Give the best meter of each node so far, the frame BEST_METERS."""
        return BEST_METERS.of(self.nodes)


def no_totals(window_end: float) -> LedgerTotals:
    """Begin a ledger at a time in epoch seconds, a window's end."""
    frames = (frame.empty() for frame in (RUN_TOTALS, RUN_COSTS, USER_TOTALS, USER_COSTS, NODE_TOTALS))
    return LedgerTotals(window_end, *frames)


def add(totals: LedgerTotals, gains: Gains) -> LedgerTotals:
    """Add what the next windows add; runs that ended long ago are left out, nobody asks a snapshot for them."""
    runs = _added(RUN_TOTALS, totals.runs, gains.runs)
    runs = runs.filter(pl.col("until") >= gains.window_end - KEEP_ENDED_SECONDS)
    run_costs = _added(RUN_COSTS, totals.run_costs, gains.costs).join(runs, on="run_id", how="semi")
    who = gains.runs.select("run_id", "user", "account")
    users = gains.runs.group_by("user", "account").agg(until=pl.col("last_window_end").max())
    amounts = sum_by(["user", "account"], gains.runs.select("user", "account", "joules", "co2_grams"))
    user_costs = gains.costs.join(who, on="run_id", how="left", validate="m:1").drop("run_id")
    return LedgerTotals(
        gains.window_end,
        runs,
        run_costs,
        _added(USER_TOTALS, totals.users, users.join(amounts, on=["user", "account"], validate="1:1")),
        _added(USER_COSTS, totals.user_costs, sum_by(USER_COSTS.keys, user_costs)),
        _added(NODE_TOTALS, totals.nodes, gains.nodes),
    )


def _added(kind: Frame, before: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Add rows to those of the same key; what neither knows stays unknown."""
    values = [name for name in kind.schema if name not in kind.keys]
    joined = before.join(
        more.rename({name: f"{name} more" for name in values}),
        on=kind.keys, how="full", coalesce=True, validate="1:1", maintain_order="left_right",
    )  # fmt: skip
    return joined.select(*kind.keys, *(_sum_of(name).alias(name) for name in values))


def _sum_of(name: str) -> pl.Expr:
    """Add a gain to what there was; of times and meters there is one."""
    before, more = pl.col(name), pl.col(f"{name} more")
    if name in _KEPT:
        return pl.coalesce(before, more)
    if name in _REPLACED:
        return pl.coalesce(more, before)
    if name in _SINCE_BUSY:
        return pl.when(_SINCE_BUSY[name]).then(more).otherwise(known_add(before, more))
    return known_add(before, more)
