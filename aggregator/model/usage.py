"""Usage history: what slurmdbd has rolled up, and what the jobs have added since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aggregator.model.accounting import Run
from aggregator.model.calendar import Calendar, Resolution, Rolled

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
    absent when there is none. qos is id → name, None where the release rolls nothing up by QOS.
    """

    associations: Mapping[int, tuple[str, str]]
    parents: Mapping[str, str]
    live_accounts: frozenset[str]
    tres: Mapping[int, str]
    calendar: Calendar
    first: Mapping[Resolution, float] = field(default_factory=dict)
    qos: Mapping[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading of all windows: sums of final rows up to `until`, and the runs that have ended since.

    windows is name → begin (epoch seconds). associations is (window, id, TRES name) → seconds, cluster
    (window, TRES name, state) → seconds. catalog is None where the tables are not there or not granted.
    """

    time: float
    catalog: UsageCatalog | None = None
    rolled: Rolled | None = None
    until: float = 0.0
    windows: Mapping[str, float] = field(default_factory=dict)
    associations: Mapping[tuple[str, int, str], float] = field(default_factory=dict)
    cluster: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    ended: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Usage of an account and all below it (user ""), or of a user under one account: (TRES, window) → seconds."""

    account: str
    user: str
    seconds: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class UsageView:
    """What is shown of usage. cluster is (TRES, state, window) → seconds, up to `until`, the last hour rolled up."""

    until: float
    accounts: tuple[UsageSums, ...] = ()
    users: tuple[UsageSums, ...] = ()
    cluster: Mapping[tuple[str, str, str], float] = field(default_factory=dict)


def is_of_jobs(tres: str) -> bool:
    """Tell whether a TRES can be told from a job's allocation, and is shown when nothing else is asked for."""
    return tres in ("cpu", "mem", "node", "billing", "gres/gpu") or tres.startswith("gres/gpu:")


def unit_of(tres: str) -> str:
    """Name the unit of a usage: memory is in byte-seconds here, in MiB-seconds in slurmdbd."""
    return "byte-seconds" if tres == "mem" else f"{tres}-seconds"
