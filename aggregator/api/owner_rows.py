"""One row of each user under each account, or of each account: what open runs add up to, energy, Lustre, the tree."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, Literal

import polars as pl

from aggregator.engine.column import Column, Table
from aggregator.engine.frame import add_columns, totals
from aggregator.engine.part import Layout
from aggregator.model.view import ClusterView

Owner = Literal["user", "account"]
_RATES: Final = ("read_bytes_per_second", "write_bytes_per_second", "metadata_operations_per_second")
# Counters of the ledger, also of runs that have ended.
_ENERGY: Final = (
    "energy_joules_total", "co2_grams_total", "wasted_cpu_seconds_total", "wasted_gpu_seconds_total",
    "wasted_energy_joules_total",
)  # fmt: skip
PLACE: Final = ("parent", "organization", "shares_ratio", "fairshare_level", "usage_ratio")
_GPUS: Final = Column(
    name="allocated_gpus", dtype=pl.Int64, adds_up=True, help="GPUs that the jobs hold, of all types.",
    null="no GPUs are held",
)  # fmt: skip
# Whoever has none of these has no running job: what is held is 0, and known.
_HELD: Final = ("allocated_cpus", "allocated_memory_bytes")


def key_of(of: Owner) -> tuple[str, ...]:
    """Give the columns that tell rows apart."""
    return ("account", "user") if of == "user" else ("account",)


def table_of(layout: Layout, of: Owner) -> Table:
    """Declare the rows: the columns of the tables that they are joined of."""
    own = layout.tables[f"{of}s"]
    lustre = _columns(layout, f"{of}_lustre", _RATES)
    energy = _columns(layout, f"{of}_energy", _ENERGY)
    more = (*_columns(layout, "account_tree", PLACE), *_columns(layout, "awards", ("award_cpus", "award_gpus")))
    columns = (*own.columns, _GPUS, *energy, *lustre, *(more if of == "account" else ()))
    return Table(name=own.name, of=own.of, collect=own.collect, labels=own.labels, columns=columns)


def _columns(layout: Layout, table: str, names: Sequence[str]) -> tuple[Column, ...]:
    """Give columns of another table, which are at `/metrics` by that one."""
    found = (column for column in layout.tables[table].columns if column.name in names)
    return tuple(replace(column, sample=None, adds_up=column.is_amount) for column in found)


def owner_rows(view: ClusterView, of: Owner, also: Iterable[Sequence[str]] = ()) -> pl.DataFrame:
    """Join the rows of all owners, in the order of their key, and of those whose keys are in `also`.

    Who has no open run is there with energy or Lustre; what a user does outside of jobs is under the account "".
    """
    key, frames = key_of(of), view.frames
    gpus = frames[f"{of}_gpus"].group_by(key).agg(allocated_gpus=pl.col("count").sum())
    energy = frames[f"{of}_energy"].drop("until_seconds")
    lustre = frames[f"{of}_lustre"].group_by(key).agg(totals(_RATES))
    found = frames[f"{of}s"].with_columns(is_live=True)
    named = pl.DataFrame(list(also), schema=dict.fromkeys(key, pl.String), orient="row")
    for more in (gpus, energy, lustre, named):
        found = found.join(more, on=key, how="full", coalesce=True)
    if of == "account":
        tree = frames["account_tree"].select("account", *PLACE)
        found = add_columns(add_columns(found, tree, "account"), frames["awards"], "account")
    held = (pl.when("is_live").then(name).otherwise(0.0).alias(name) for name in _HELD)
    return found.with_columns(held).drop("is_live").sort(key)
