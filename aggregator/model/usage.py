"""Usage history: what slurmdbd has rolled up, and what the jobs have added since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aggregator.model.accounting import Run
from aggregator.model.association import LICENSE, Association
from aggregator.model.calendar import Calendar, Resolution, Rolled
from aggregator.model.decay import Decay

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


@dataclass(frozen=True, slots=True)
class DecayedUsage:
    """Final rows from `since` up to `until`, as decayed by `time`: (association, TRES) → TRES × seconds.

    tres names what was read: what is missing of it is 0.
    """

    decay: Decay
    time: float
    since: float
    until: float
    tres: frozenset[str]
    associations: Mapping[tuple[int, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading of all windows: sums of final rows up to `until`, and the runs that have ended since.

    windows is name → begin (epoch seconds). associations is (window, id, TRES name) → seconds, cluster
    (window, TRES name, state) → seconds. catalog is None where the tables are not there or not granted, decayed where
    it is not configured how usage decays.
    """

    time: float
    catalog: UsageCatalog | None = None
    rolled: Rolled | None = None
    until: float = 0.0
    windows: Mapping[str, float] = field(default_factory=dict)
    associations: Mapping[tuple[str, int, str], float] = field(default_factory=dict)
    cluster: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    ended: tuple[Run, ...] = ()
    decayed: DecayedUsage | None = None


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Usage of an account and all below it (user ""), or of a user under one account: (TRES, window) → seconds."""

    account: str
    user: str
    seconds: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class RawUsage:
    """Usage as slurmctld decays it, in TRES × seconds by TRES.

    associations are users' by id, accounts include all below. tres names what is known: what is missing of it is 0.
    """

    tres: frozenset[str]
    associations: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    accounts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def of(self, association: Association, tres: str) -> float | None:
        """Give what is left of the usage of an association, or of an account with all below it."""
        if tres not in self.tres:
            return None
        if association.user:
            return self.associations.get(association.id, {}).get(tres, 0.0)
        return self.accounts.get(association.account, {}).get(tres, 0.0)


@dataclass(frozen=True, slots=True)
class UsageView:
    """What is shown of usage. cluster is (TRES, state, window) → seconds, up to `until`, the last hour rolled up.

    raw is None where it is not known how usage decays.
    """

    until: float
    accounts: tuple[UsageSums, ...] = ()
    users: tuple[UsageSums, ...] = ()
    cluster: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    raw: RawUsage | None = None


def is_of_jobs(tres: str) -> bool:
    """Tell whether a TRES is shown when nothing else is asked for: what jobs hold, licenses apart."""
    return tres in ("cpu", "mem", "node", "billing", "gres/gpu") or tres.startswith("gres/gpu:")


def is_held(tres: str) -> bool:
    """Tell whether a TRES can be told from a job's allocation."""
    return is_of_jobs(tres) or tres.startswith(LICENSE)


def unit_of(tres: str) -> str:
    """Name the unit of a usage: memory is in byte-seconds here, in MiB-seconds in slurmdbd."""
    return "byte-seconds" if tres == "mem" else f"{tres}-seconds"
