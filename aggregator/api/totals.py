"""What the accounts of a cluster add up to."""

from typing import Final

import polars as pl

from aggregator.api.lists import ListRoute, shown
from aggregator.api.owner_rows import PLACE, owner_rows
from aggregator.api.representation import Json
from aggregator.engine.frame import conform, ratio, totals
from aggregator.engine.listed import COVERAGE
from aggregator.model.view import ClusterView

# Coverage of what → the column by which it is weighed.
_WEIGHTS: Final = {"cpu": "allocated_cpus", "memory": "allocated_memory_bytes", "gpu": "allocated_gpus"}
# What only a single account has.
_OF_ONE: Final = frozenset({"account", *PLACE, "award_cpus", "award_gpus"})


def total_json(accounts: ListRoute[ClusterView], view: ClusterView) -> Json:
    """Show the sum of all accounts, which hold each run once; a sum of nothing known stays unknown."""
    listed, rows = accounts.listed, owner_rows(view, "account")
    sums = rows.select(
        pl.lit("").alias("account"),
        *totals(listed.amounts),
        *(_weighed(name, weight).alias(f"{name}{COVERAGE}") for name, weight in _WEIGHTS.items()),
    )
    if rows.is_empty():
        sums = sums.with_columns(allocated_cpus=0.0, allocated_memory_bytes=0.0)
    frames = {each.table.name: _of_all(view.frames[each.table.name]) for each in listed.nested}
    (row,) = shown(listed, conform(listed.table, sums), frames)
    return _without_place(row)


def unknown_json(accounts: ListRoute[ClusterView]) -> Json:
    """Show that nothing is known, which is not zero."""
    return _without_place(dict.fromkeys(accounts.listed.fields))


def _without_place(row: Json) -> Json:
    return {name: value for name, value in row.items() if name not in _OF_ONE}


def _weighed(name: str, weight: str) -> pl.Expr:
    """Weigh each account's coverage by what it holds; of nothing held there is no coverage."""
    held = pl.col(weight).fill_null(0)
    return ratio((pl.col(f"{name}{COVERAGE}").fill_null(0.0) * held).sum(), held.sum())


def _of_all(rows: pl.DataFrame) -> pl.DataFrame:
    """Add up what accounts have by state, type, finding, cost or file system."""
    amounts = [name for name, dtype in rows.schema.items() if dtype.is_numeric()]
    by = [name for name in rows.columns if name not in ("account", *amounts)]
    return rows.group_by(by).agg(totals(amounts)).sort(by).with_columns(account=pl.lit(""))
