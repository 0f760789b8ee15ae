"""What the accounts of a cluster add up to."""

from typing import Final

import polars as pl

from aggregator.api.representation import Json, sums_json
from aggregator.engine.frame import Frames, ratio, total

# Coverage of what → the column by which it is weighed.
_WEIGHTS: Final = {"cpu": "allocated_cpus", "memory": "allocated_memory_bytes", "gpu": "allocated_gpus"}


def total_json(frames: Frames) -> Json:
    """Show the sum of all accounts, which hold each run once; a sum of nothing known stays unknown."""
    gpus = frames["account_gpus"]
    held = gpus.group_by("account").agg(allocated_gpus=pl.col("count").sum())
    accounts = frames["accounts"].join(held, on="account", how="left")
    numbers = [name for name in accounts.columns if name not in ("account", *map(_coverage, _WEIGHTS))]
    sums = accounts.select(
        *(total(name).alias(name) for name in numbers),
        *(_weighed(name, weight).alias(_coverage(name)) for name, weight in _WEIGHTS.items()),
    )
    row = sums.row(0, named=True)
    if accounts.is_empty():
        row |= {"allocated_cpus": 0, "allocated_memory_bytes": 0}
    findings = _count(frames["account_findings"], "reason", "severity")
    return sums_json(
        row,
        dict(_count(frames["account_states"], "state").iter_rows()),
        dict(_count(gpus, "gpu_type").iter_rows()),
        {(reason, severity): count for reason, severity, count in findings.iter_rows()},
    )


def _coverage(name: str) -> str:
    return f"{name}_coverage_ratio"


def _weighed(name: str, weight: str) -> pl.Expr:
    """Weigh each account's coverage by what it holds; of nothing held there is no coverage."""
    held = pl.col(weight).fill_null(0)
    return ratio((pl.col(_coverage(name)).fill_null(0.0) * held).sum(), held.sum())


def _count(counts: pl.DataFrame, *by: str) -> pl.DataFrame:
    return counts.group_by(by).agg(pl.col("count").sum()).sort(by)
