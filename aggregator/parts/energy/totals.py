"""What has been added up of one cluster until the end of the last closed window."""

from collections.abc import Sequence
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
    known_sum,
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
    runs = _add_runs(totals.runs, gains.runs).filter(pl.col("until") >= gains.window_end - KEEP_ENDED_SECONDS)
    costs = _add_up(RUN_COSTS, [totals.run_costs, gains.costs]).join(runs, on="run_id", how="semi")
    who = gains.runs.select("run_id", "user", "account", "joules", "co2_grams", until="last_window_end")
    of_users = gains.costs.join(who, on="run_id", how="left", validate="m:1")
    return LedgerTotals(
        gains.window_end,
        runs,
        costs,
        _add_up(USER_TOTALS, [totals.users, who]),
        _add_up(USER_COSTS, [totals.user_costs, of_users]),
        _add_up(NODE_TOTALS, [totals.nodes, gains.nodes]),
    )


def _add_runs(before: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    def sum_of(name: str) -> pl.Expr:
        added, gain = known_add(pl.col(name), pl.col(f"{name}_more")), pl.col(f"{name}_more")
        if name in _SINCE_BUSY:
            return pl.when(pl.col(_SINCE_BUSY[name])).then(gain).otherwise(added).alias(name)
        return added.alias(name)

    summed = [name for name in RUN_TOTALS.schema if name not in ("run_id", "since", "until")]
    more = more.rename({name: f"{name}_more" for name in ("since", "until", *summed)})
    joined = before.join(more, on="run_id", how="full", coalesce=True, validate="1:1", maintain_order="left_right")
    return joined.select(
        "run_id", pl.coalesce("since", "since_more"), pl.coalesce("until_more", "until").alias("until"),
        *map(sum_of, summed),
    )  # fmt: skip


def _add_up(kind: Frame, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Add up rows of the same key, in the order in which they first come; of meters the best is kept."""

    def expression(name: str) -> pl.Expr:
        if name == "meter":
            return pl.col(name).min()
        return pl.col(name).max() if name == "until" else known_sum(name).alias(name)

    rows = pl.concat([kind.of(frame) for frame in frames])
    values = [name for name in kind.schema if name not in kind.keys]
    return rows.group_by(kind.keys, maintain_order=True).agg(map(expression, values))
