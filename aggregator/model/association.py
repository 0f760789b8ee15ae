"""What slurmacct says of associations, QOS and coordinators: the account tree with its shares and limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

# (limit in sacctmgr's words, TRES or ""), such as ("GrpTRES", "gres/gpu") and ("GrpJobs", "").
LimitKey = tuple[str, str]
# Values are in base units: bytes, seconds, resource-seconds.
Limits = Mapping[LimitKey, float]

# What limits of the same quantity are used by; a limit that is not here applies to one job, or to decayed usage.
RUNNING_JOBS, SUBMITTED_JOBS, RUNNING_TRES, RUNNING_TRES_SECONDS = "jobs", "submitted", "tres", "tres_seconds"
USED_TRES_SECONDS: Final = "GrpTRESMins"
QUANTITIES: Final[Mapping[str, str]] = {
    "GrpJobs": RUNNING_JOBS,
    "GrpSubmitJobs": SUBMITTED_JOBS,
    "GrpTRES": RUNNING_TRES,
    "GrpTRESRunMins": RUNNING_TRES_SECONDS,
    "MaxJobs": RUNNING_JOBS,
    "MaxSubmitJobs": SUBMITTED_JOBS,
    "MaxJobsPerUser": RUNNING_JOBS,
    "MaxSubmitJobsPerUser": SUBMITTED_JOBS,
    "MaxTRESPerUser": RUNNING_TRES,
    "MaxTRESRunMinsPerUser": RUNNING_TRES_SECONDS,
    "MaxJobsPerAccount": RUNNING_JOBS,
    "MaxSubmitJobsPerAccount": SUBMITTED_JOBS,
    "MaxTRESPerAccount": RUNNING_TRES,
    "MaxTRESRunMinsPerAccount": RUNNING_TRES_SECONDS,
}
# A limit of an association → those of a QOS that take its place for the jobs of that QOS, where they are set.
OVERRIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "MaxJobs": ("MaxJobsPerUser", "MaxJobsPerAccount"),
    "MaxSubmitJobs": ("MaxSubmitJobsPerUser", "MaxSubmitJobsPerAccount"),
}
LICENSE: Final = "license/"
_UNITS: Final = {"cpu": "cpus", "mem": "bytes", "node": "nodes", "gres/gpu": "gpus", "billing": "billing"}


def unit_of(limit: str, tres: str) -> str:
    """Name the base unit of a limit's value."""
    if not tres:
        return "seconds" if limit.endswith("Wall") else "jobs"
    counted = _UNITS.get("gres/gpu" if tres.startswith("gres/gpu:") else tres, "count")
    return f"{counted.removesuffix('s')}-seconds" if "Mins" in limit else counted


def is_group_limit(limit: str) -> bool:
    """Tell whether a limit holds for everything below an association; the others are inherited, for each by itself."""
    return limit.startswith("Grp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """One row of the association table: an account's own (user ""), or a user's in it, for one partition or all ("").

    parent is the account above, "" for a user's and for the root. shares is None for `parent`. qos holds the ids that
    are set here, with those added and removed in comparison with what is inherited; limits are those that are set here.
    """

    id: int
    account: str
    user: str = ""
    partition: str = ""
    parent: str = ""
    deleted: bool = False
    shares: int | None = 1
    limits: Limits = field(default_factory=dict)
    qos: frozenset[int] = frozenset()
    added_qos: frozenset[int] = frozenset()
    removed_qos: frozenset[int] = frozenset()
    users_are_coordinators: bool = False


@dataclass(frozen=True, slots=True)
class Qos:
    """One quality of service with the limits that are set on it; its jobs count usage_factor times as usage."""

    name: str
    limits: Limits = field(default_factory=dict)
    priority: int = 0
    usage_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Associations:
    """All associations of a cluster, deleted ones too, QOS by id, and who is named coordinator of which account."""

    rows: tuple[Association, ...] = ()
    qos: Mapping[int, Qos] = field(default_factory=dict)
    coordinators: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def live(self) -> Iterator[Association]:
        """List those that are not deleted."""
        return (row for row in self.rows if not row.deleted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit that holds for somebody, with where it is set and what is used of it.

    It is set at a QOS, or at an association: an account's (user ""), or a user's. used is None where it is not known,
    and for limits of one job. overridden_by names the QOS that the user may use and that have their own instead.
    """

    limit: str
    tres: str
    value: float
    account: str = ""
    user: str = ""
    partition: str = ""
    qos: str = ""
    used: float | None = None
    overridden_by: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Name the unit of value and used."""
        return unit_of(self.limit, self.tres)

    @property
    def head_room(self) -> float | None:
        """Give what is left; negative where the limit was lowered below what is used."""
        return None if self.used is None else self.value - self.used


@dataclass(frozen=True, slots=True)
class Fairshare:
    """How an association is served beside those of its level, by Fair Tree; None is not known.

    usage_ratio is its decayed usage ÷ that of its parent. level is shares_ratio ÷ usage_ratio, above 1 where it is
    under-served, None also where nothing was used (slurmctld says infinity). source says who computed it.
    """

    usage_ratio: float | None = None
    level: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an association may do: its shares, their part of its level, and the limits that hold for it.

    shares is None for `parent`. A user's partition is "" for the association that serves every partition that has none.
    """

    account: str
    user: str = ""
    partition: str = ""
    shares: int | None = None
    shares_ratio: float | None = None
    fairshare: Fairshare = Fairshare()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class QosStanding:
    """One QOS with the limits that are set on it and what all its jobs use of those on the group."""

    qos: Qos
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitsView:
    """Shares, limits and coordinators of one cluster at one time.

    accounts is by name, users by (account, user), one standing per partition association; coordinators is account →
    users, coordinates is user → accounts, both without the accounts below.
    """

    accounts: Mapping[str, Standing] = field(default_factory=dict)
    users: Mapping[tuple[str, str], tuple[Standing, ...]] = field(default_factory=dict)
    qos: tuple[QosStanding, ...] = ()
    coordinators: Mapping[str, frozenset[str]] = field(default_factory=dict)
    coordinates: Mapping[str, frozenset[str]] = field(default_factory=dict)


NO_LIMITS = LimitsView()
