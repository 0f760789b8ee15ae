"""What did runs hold and not use? It is told of each run in each window, and of what was seen of it alone.

So the windows of a day add up to the same in any pieces, and no sum goes back.
"""

from typing import Final

import polars as pl

from aggregator.ledger.frames import column_of, sum_by
from aggregator.model.readings import Windows
from aggregator.model.waste import COVERAGE_FLOOR

_SEEN, _HELD, _SECONDS = pl.col("seen_cpus"), pl.col("allocated_cpus"), pl.col("seconds")
_HELD_SEEN: Final = pl.when(_SEEN.is_not_null()).then(_HELD)
_OF_RUN: Final = ["run", "window"]
_NEEDED: Final = [*_OF_RUN, "nodes_count", "seen_cpus", "allocated_cpus"]


def with_idle_cpus(tenants: pl.DataFrame) -> pl.DataFrame:
    """Add idle_cpus, the part of its CPUs that a run did not use in a window, 0–1; null where that is not known.

    It is one for all nodes of the run, as that of `wasted_cpus` is: one node may make up for another.
    """
    idle = tenants.select_seq(idle_cpus=_idle(_SEEN, _HELD)).to_series()
    several = (tenants["nodes_count"] > 1).arg_true()
    if len(several):
        idle = idle.scatter(several, _idle_on_several(tenants[_NEEDED][several]))
    return tenants.hstack([idle])


def _idle(used: pl.Expr, held: pl.Expr) -> pl.Expr:
    """Give the part of what is held that is not used; a run that holds none, as while suspended, has no part."""
    return pl.when(held > 0).then(1 - used / held).clip(0.0)


def _idle_on_several(tenants: pl.DataFrame) -> pl.Series:
    """Give the same of runs on several nodes, in the order of the rows."""
    sums = tenants.select_seq(
        "nodes_count", used=_SEEN.sum().over(_OF_RUN), held=_HELD_SEEN.sum().over(_OF_RUN),
        seen=_SEEN.count().over(_OF_RUN),
    )  # fmt: skip
    # What a run holds is taken as spread evenly over its nodes, which it need not be.
    is_enough = pl.col("seen") >= COVERAGE_FLOOR * pl.col("nodes_count")
    return sums.select_seq(pl.when(is_enough).then(_idle(pl.col("used"), pl.col("held")))).to_series()


def wasted_cpu_seconds(tenants: pl.DataFrame, runs: int, windows: Windows) -> pl.Series:
    """Add up the CPU time that each of so many runs held and did not use; null where nothing was seen."""
    wasted = tenants.select_seq("run", wasted_cpu_seconds=pl.col("idle_cpus") * _HELD_SEEN * _SECONDS)
    if windows.count > 1:
        sums = sum_by("run", wasted)
        return column_of(None, runs, sums["run"], sums["wasted_cpu_seconds"])
    # In one window most runs have one row, and nothing to add up.
    found = column_of(None, runs, wasted["run"], wasted["wasted_cpu_seconds"])
    sums = sum_by("run", wasted.filter(tenants["nodes_count"] > 1))
    return found.scatter(sums["run"], sums["wasted_cpu_seconds"])


def idle_gpus(judged: pl.DataFrame, gpu_tenants: pl.DataFrame, runs: int, windows: Windows) -> pl.Series:
    """Give the part of its judged GPUs that the run of each tenant did not use in the window; null where none was."""
    numbers, wanted = (frame["run"] * windows.count + frame["window"] for frame in (judged, gpu_tenants))
    idle = judged.select_seq(idle_gpus=(1 - pl.col("used") / pl.col("judged")).clip(0.0)).to_series()
    return column_of(None, runs * windows.count, numbers, idle)[wanted]
