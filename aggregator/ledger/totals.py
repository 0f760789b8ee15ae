"""What has been added up of one cluster until the end of the last closed window."""

from functools import cache
from typing import Final

import polars as pl

from aggregator.ledger.frames import column_of, known_add
from aggregator.ledger.window import Gains
from aggregator.model.ledger import (
    NODE_TOTALS,
    RUN_COSTS,
    RUN_TOTALS,
    USER_COSTS,
    USER_TOTALS,
    LedgerTotals,
)
from aggregator.model.readings import Frame

# Longer than any retention of ended jobs on the page needs to be.
KEEP_ENDED_SECONDS: Final = 3600.0
# Of these a gain that says so is what there is now, not what comes on top.
_SINCE_BUSY: Final = {
    "gpu_idle_seconds": "was_busy",
    "gpu_unseen_seconds": "was_busy",
    "gpu_partly_idle_seconds": "was_all_busy",
    "gpu_partly_unseen_seconds": "was_all_busy",
}
_KEPT: Final = ("since", "currency")
# A gain knows the best meter before it.
_REPLACED: Final = ("until", "meter")
_MORE: Final = " more"
_HAS_COST: Final = pl.any_horizontal(pl.col("^.*_cost$").is_not_null())


def no_totals(window_end: float) -> LedgerTotals:
    """Begin a ledger at a time in epoch seconds, a window's end."""
    frames = (frame.empty() for frame in (RUN_TOTALS, RUN_COSTS, USER_TOTALS, USER_COSTS, NODE_TOTALS))
    return LedgerTotals(window_end, *frames)


def add(totals: LedgerTotals, gains: Gains) -> LedgerTotals:
    """Add what the next windows add; runs that ended long ago are left out, nobody asks a snapshot for them."""
    all_runs = _added(RUN_TOTALS, totals.runs, gains.runs)
    runs = all_runs.filter(pl.col("until") >= gains.window_end - KEEP_ENDED_SECONDS)
    costs = _added_costs(RUN_COSTS, totals.run_costs, gains.runs)
    return LedgerTotals(
        gains.window_end,
        runs,
        costs if len(runs) == len(all_runs) else costs.join(runs, on="run_id", how="semi"),
        _added(USER_TOTALS, totals.users, gains.users),
        _added_costs(USER_COSTS, totals.user_costs, gains.users),
        _added(NODE_TOTALS, totals.nodes, gains.nodes),
    )


def _added(kind: Frame, before: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Add rows to those of the same key; what neither knows stays unknown."""
    keys, names, sums = _sums(kind)
    rows = before[keys].join(more[keys].with_row_index("row"), on=keys, how="left", maintain_order="left")["row"]
    found = more[names][rows]
    found.columns = [f"{name}{_MORE}" for name in names]
    added, known = before.hstack(found).select_seq(*keys, *sums), rows.drop_nulls()
    if len(known) == len(more):
        return added
    is_new = column_of(True, len(more), known, pl.repeat(False, len(known), eager=True))
    # Keys in order are found faster.
    return pl.concat([added, more[[*kind.schema]].filter(is_new)]).sort(keys)


def _added_costs(kind: Frame, before: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Add costs, which have one currency now; those of another that there was before stay as they are."""
    more = more.filter(_HAS_COST)
    if more.is_empty():
        return before
    is_now = pl.col("currency") == more["currency"][0]
    return pl.concat([before.filter(~is_now), _added(kind, before.filter(is_now), more)])


@cache
def _sums(kind: Frame) -> tuple[list[str], list[str], list[pl.Expr]]:
    """Name what tells rows of one currency apart, and what of a gain is added, and say how."""
    keys = [name for name in kind.keys if name != "currency"]
    values = [name for name in kind.schema if name not in keys]
    resets = dict.fromkeys(_SINCE_BUSY[name] for name in values if name in _SINCE_BUSY)
    return keys, [*values, *resets], [_sum_of(name).alias(name) for name in values]


def _sum_of(name: str) -> pl.Expr:
    """Add a gain to what there was; of times, meters and currencies there is one."""
    before, more = pl.col(name), pl.col(f"{name}{_MORE}")
    if name in _KEPT:
        return pl.coalesce(before, more)
    if name in _REPLACED:
        return pl.coalesce(more, before)
    if name in _SINCE_BUSY:
        return pl.when(f"{_SINCE_BUSY[name]}{_MORE}").then(more).otherwise(known_add(before, more))
    return known_add(before, more)
