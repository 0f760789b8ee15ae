"""Usage history: what slurmdbd has rolled up, and what the jobs have added since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.model.calendar import Calendar, Resolution, Rolled
from aggregator.model.decay import Decay
from aggregator.model.job_inputs import NO_RUNS, Runs
from aggregator.model.tres import LICENSE

# Slurm's ids. Energy is left out: hours that are rolled up anew count a job's whole energy again.
MEMORY_ID, ENERGY_ID = 2, 3
# Table column's meaning → how much of the cluster's capacity was in that state.
CLUSTER_STATES: Final = ("allocated", "down", "planned_down", "planned", "idle", "over")
# Beyond this the jobs' rows are not added up in place of slurmdbd's: the roll-ups do not work, or are switched off.
MAX_TAIL_SECONDS: Final = 3 * 3600.0
FISCAL_YEAR: Final = "fiscal_year"


@dataclass(frozen=True, slots=True)
class UsageCatalog:
    """What usage rows refer to: deleted associations and accounts too, for they have a history.

    associations is id → (user, account) of user associations; parents is the tree, account → parent. tres is id →
    name as Slurm writes it, with what jobs can have used of it. first is the start of the oldest row by resolution,
    absent when there is none. qos is id → name, None where the release rolls nothing up by QOS. limited has the TRES
    of which associations may use so many minutes (GrpTRESMins).
    """

    associations: Mapping[int, tuple[str, str]]
    parents: Mapping[str, str]
    live_accounts: frozenset[str]
    tres: Mapping[int, str]
    calendar: Calendar
    first: Mapping[Resolution, float] = field(default_factory=dict)
    qos: Mapping[int, str] | None = None
    limited: frozenset[str] = frozenset()


# Sums of final rows of a window, and how the cluster's capacity was spent in it; seconds are TRES × seconds.
ASSOCIATION_SECONDS: Final = schema(
    {"window": pl.String, "association_id": pl.Int64, "tres": pl.String, "seconds": pl.Float64}
)
CLUSTER_SECONDS: Final = schema({"window": pl.String, "tres": pl.String, "state": pl.String, "seconds": pl.Float64})
# What is read of a segment of time, which begins at `begin`.
SEGMENT_SECONDS: Final = schema(
    {"begin": pl.Float64, "association_id": pl.Int64, "tres": pl.String, "seconds": pl.Float64}
)
# What is left of usage by association, and by account with all below it.
LEFT_SECONDS: Final = schema({"association_id": pl.Int64, "tres": pl.String, "seconds": pl.Float64})


@dataclass(frozen=True, slots=True)
class DecayedUsage:
    """Final rows from `since` up to `until`, as decayed by `time` (LEFT_SECONDS).

    tres names what was read: what is missing of it is 0.
    """

    decay: Decay
    time: float
    since: float
    until: float
    tres: frozenset[str]
    associations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LEFT_SECONDS))


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading of all windows: sums of final rows up to `until`, and the runs that have ended since.

    windows is name → begin (epoch seconds), associations are ASSOCIATION_SECONDS, cluster is CLUSTER_SECONDS. catalog
    is None where the tables are not there or not granted, decayed where it is not configured how usage decays.
    """

    time: float
    catalog: UsageCatalog | None = None
    rolled: Rolled | None = None
    until: float = 0.0
    windows: Mapping[str, float] = field(default_factory=dict)
    associations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ASSOCIATION_SECONDS))
    cluster: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CLUSTER_SECONDS))
    ended: Runs = NO_RUNS
    decayed: DecayedUsage | None = None


@dataclass(frozen=True, slots=True)
class LeftUsage:
    """Usage as slurmctld decays it, in TRES × seconds.

    associations are users' (association_id, tres, seconds), accounts include all below (account, tres, seconds). tres
    names what is known: what is missing of it is 0.
    """

    tres: frozenset[str]
    associations: pl.DataFrame
    accounts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Usage added up by account with all below it, by user under an account, and by state of the cluster.

    The frames have TRES, window and seconds. until is the last hour rolled up. left is None where it is not known how
    usage decays.
    """

    until: float
    accounts: pl.DataFrame
    users: pl.DataFrame
    cluster: pl.DataFrame
    left: LeftUsage | None = None


def tail_begin(until: float, now: float) -> float | None:
    """Tell from when on job rows stand in for roll-ups; None when these are too far behind, and nothing is known."""
    return until if now - until <= MAX_TAIL_SECONDS else None


def is_of_jobs(tres: str) -> bool:
    """Tell whether a TRES is shown when nothing else is asked for: what jobs hold, licenses apart."""
    return tres in ("cpu", "mem", "node", "billing", "gres/gpu") or tres.startswith("gres/gpu:")


def is_allocated(tres: str) -> bool:
    """Tell whether a job's allocation says how much of a TRES it has."""
    return is_of_jobs(tres) or tres.startswith(LICENSE)


def unit_of(tres: str) -> str:
    """Name the unit of a usage: memory is in byte-seconds here, in MiB-seconds in slurmdbd."""
    return "byte-seconds" if tres == "mem" else f"{tres}-seconds"
