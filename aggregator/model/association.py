"""What slurmacct says of associations, QOS and coordinators: the account tree with its shares and limits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from aggregator.engine.column import schema

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
GROUP: Final = "Grp"
_UNITS: Final = {"cpu": "cpus", "mem": "bytes", "node": "nodes", "gres/gpu": "gpus", "billing": "billing"}

# One row per association: an account's own (user ""), or a user's in it, for one partition or all (""). parent is the
# account above, "" for a user's and for the root. shares is null for `parent`. qos has the ids that are set here, with
# those added and removed in comparison with what is inherited. Deleted ones have a history, and are in no tree.
ASSOCIATIONS: Final = schema(
    {
        "association_id": pl.Int64,
        "account": pl.String,
        "user": pl.String,
        "partition": pl.String,
        "parent": pl.String,
        "deleted": pl.Boolean,
        "shares": pl.Int64,
        "qos": pl.List(pl.Int64),
        "added_qos": pl.List(pl.Int64),
        "removed_qos": pl.List(pl.Int64),
        "users_are_coordinators": pl.Boolean,
    }
)
_LIMIT: Final = {"limit": pl.String, "tres": pl.String, "value": pl.Float64}
# The limits that are set on each association, and on each QOS.
ASSOCIATION_LIMITS: Final = schema({"association_id": pl.Int64, **_LIMIT})
QOS_LIMITS: Final = schema({"qos_id": pl.Int64, **_LIMIT})
# The jobs of a QOS count usage_factor times as usage.
QOS: Final = schema({"qos_id": pl.Int64, "qos": pl.String, "priority": pl.Int64, "usage_factor": pl.Float64})
COORDINATORS: Final = schema({"account": pl.String, "user": pl.String})
ORGANIZATIONS: Final = schema({"account": pl.String, "organization": pl.String})
# Accounts' fair shares as slurmctld says them (level_fs), infinite where nothing was used.
LEVELS: Final = schema({"account": pl.String, "level": pl.Float64})


def unit_of(limit: str, tres: str) -> str:
    """Name the base unit of a limit's value."""
    if not tres:
        return "seconds" if limit.endswith("Wall") else "jobs"
    counted = _UNITS.get("gres/gpu" if tres.startswith("gres/gpu:") else tres, "count")
    return f"{counted.removesuffix('s')}-seconds" if "Mins" in limit else counted


def is_group_limit(limit: str) -> bool:
    """Tell whether a limit holds for everything below an association; the others are inherited, for each by itself."""
    return limit.startswith(GROUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """What a row of ASSOCIATIONS is made of, with the limits that are set there; shares is None for `parent`."""

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
    """What a row of QOS is made of, with the limits that are set on it."""

    name: str
    limits: Limits = field(default_factory=dict)
    priority: int = 0
    usage_factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Associations:
    """All associations of a cluster, with limits, QOS, the named coordinators of accounts, and their organizations.

    The frames are ASSOCIATIONS, ASSOCIATION_LIMITS, QOS, QOS_LIMITS, COORDINATORS and ORGANIZATIONS.
    """

    rows: pl.DataFrame
    limits: pl.DataFrame
    qos: pl.DataFrame
    qos_limits: pl.DataFrame
    coordinators: pl.DataFrame
    organizations: pl.DataFrame

    @classmethod
    def of(
        cls,
        rows: Iterable[Association] = (),
        qos: Mapping[int, Qos] | None = None,
        coordinators: Iterable[tuple[str, str]] = (),
        organizations: Mapping[str, str] | None = None,
    ) -> "Associations":
        """Make the frames of what was read; qos is by id, coordinators are pairs of account and user."""
        found, known = tuple(rows), qos or {}
        qualities = [(number, each.name, each.priority, each.usage_factor) for number, each in known.items()]
        return cls(
            rows=pl.DataFrame([_row(row) for row in found], schema=ASSOCIATIONS, orient="row"),
            limits=_limits(ASSOCIATION_LIMITS, {row.id: row.limits for row in found if not row.deleted}),
            qos=pl.DataFrame(qualities, schema=QOS, orient="row"),
            qos_limits=_limits(QOS_LIMITS, {number: each.limits for number, each in known.items()}),
            coordinators=pl.DataFrame(sorted(set(coordinators)), schema=COORDINATORS, orient="row"),
            organizations=pl.DataFrame(list((organizations or {}).items()), schema=ORGANIZATIONS, orient="row"),
        )


def _row(row: Association) -> tuple[Any, ...]:
    qos = (sorted(each) for each in (row.qos, row.added_qos, row.removed_qos))
    return (
        row.id, row.account, row.user, row.partition, row.parent, row.deleted, row.shares, *qos,
        row.users_are_coordinators,
    )  # fmt: skip


def _limits(form: pl.Schema, limits: Mapping[int, Limits]) -> pl.DataFrame:
    rows = [(owner, *key, value) for owner, of in limits.items() for key, value in of.items()]
    return pl.DataFrame(rows, schema=form, orient="row")


@dataclass(frozen=True, slots=True)
class FairShareLevels:
    """What slurmctld says of accounts' fair shares (LEVELS)."""

    frame: pl.DataFrame
