"""What a history of runs has beside `jobs`: waits and days of runs, and what many of them add up to."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from aggregator.engine.frame import ratio
from aggregator.engine.listed import Derived
from aggregator.model.calendar import Calendar
from aggregator.parts.jobs.declare import coverage_of, fact

OF_HISTORY: Final = (
    fact("wait_seconds", pl.Float64, "Time from when it could start to its start.",
         "not started, or made by a resize, which does not wait"),
    fact("day", pl.String, "Day of the event, by slurmdbd's clock."),
)  # fmt: skip
_PERCENTILES: Final = {
    "wait_seconds": (50, 75, 90, 99), "elapsed_seconds": (50, 90), "time_limit_used_ratio": (50, 90),
}  # fmt: skip
# Of elapsed time: what runs held of each.
_HELD: Final = {"cpu": "granted_cpus", "memory": "granted_memory_bytes", "gpu": "granted_gpus"}


def add_history(jobs: pl.DataFrame, runs: pl.DataFrame, event: str, calendar: Calendar) -> pl.DataFrame:
    """Add OF_HISTORY to rows of `jobs`, which are in the order of their runs (RUNS); event is a time of all of these.

    A run that started before it could, by slurmctld's clock, did not wait.
    """
    waited = (pl.col("start") - pl.col("eligible")).clip(lower_bound=0.0)
    waits = runs.select(wait_seconds=pl.when(pl.col("job_start").is_null()).then(waited))
    return jobs.with_columns(waits.to_series(), _days(runs[event], calendar).alias("day"))


def _days(times: pl.Series, calendar: Calendar) -> pl.Series:
    if times.is_empty():
        return times.cast(pl.String)
    starts = list(calendar.periods(calendar.floor(min(times), "day"), max(times) + 1, "day"))
    names = pl.Series([calendar.day_of(start).isoformat() for start in starts])
    return names.gather(pl.Series(starts).search_sorted(times, side="right") - 1)


def _of_groups() -> Iterator[Derived]:
    for name, percents in _PERCENTILES.items():
        for percent in percents:
            yield Derived(name=f"{name}_p{percent}", value=_rank(name, percent), help=f"{percent} % have no more.")
    yield Derived(name="timeouts_ratio", value=(pl.col("state") == "timeout").mean(), help="Share that timed out.")
    for of in ("cpu", "memory"):
        name = f"{of}_efficiency_ratio"
        mean = ratio((pl.col(name) * _seen(name, of)).sum(), _seen(name, of).sum())
        yield Derived(name=name, value=mean, help="Mean, weighted by what the runs held.")
        yield _coverage(f"{of}_efficiency", name, of)
    for of in ("cpu", "gpu"):
        yield _coverage(f"wasted_{of}_seconds", f"wasted_{of}_seconds", of)


def _rank(name: str, percent: int) -> pl.Expr:
    """Give the nearest rank: a value that a run had, of those that started."""
    values = pl.when(pl.col("start_timestamp_seconds").is_not_null()).then(pl.col(name))
    rank = (values.count().cast(pl.Int64) * percent + 99) // 100
    return values.drop_nulls().sort().get((rank - 1).clip(lower_bound=0), null_on_oob=True)


def _coverage(of_what: str, name: str, of: str) -> Derived:
    rests_on = ratio(_seen(name, of).sum(), _held(of).sum())
    return Derived(name=coverage_of(of_what), value=rests_on, help="Share of what the runs held on which it rests.")


def _held(of: str) -> pl.Expr:
    return pl.col("elapsed_seconds") * pl.col(_HELD[of]).fill_null(0)


def _seen(name: str, of: str) -> pl.Expr:
    """Give what was held by a run of which a column is known: by one that was seen in part, for that part."""
    return pl.when(pl.col(name).is_not_null()).then(_held(of) * pl.col("observed_ratio").fill_null(1.0))


# Columns of a group of runs.
OF_GROUPS: Final = tuple(_of_groups())
