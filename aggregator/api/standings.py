"""Which limits hold for one account, or for one association of a user: read from the tables of a cluster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from aggregator.engine.frame import Frames
from aggregator.model.association import (
    OVERRIDES,
    QUANTITIES,
    RUNNING_JOBS,
    SUBMITTED_JOBS,
    LimitKey,
    is_group_limit,
    unit_of,
)
from aggregator.model.usage import is_allocated

_Row = Mapping[str, Any]


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
    def headroom(self) -> float | None:
        """Give what is left; negative where the limit was lowered below what is used."""
        return None if self.used is None else self.value - self.used


def find_account(frames: Frames, account: str) -> _Row | None:
    """Give an account's row of `account_tree`."""
    return next(frames["account_tree"].filter(pl.col("account") == account).iter_rows(named=True), None)


def find_user(frames: Frames, account: str, user: str) -> Sequence[_Row]:
    """Give a user's rows of `user_associations` under an account, that of every partition first."""
    is_meant = (pl.col("account") == account) & (pl.col("user") == user)
    return frames["user_associations"].filter(is_meant).to_dicts()


def limits_of_account(frames: Frames, row: _Row) -> Iterator[Limit]:
    """Give the limits of an account and of all above it, those that its users have, and those of QOS by account."""
    levels = _levels(frames, row["above"])
    allowed = _allowed_qos(frames, levels)
    # An account's own Max* are what its users have: nothing is used of them by the account.
    limits = [*_group_limits(frames, row["above"]), *_inherited(frames, row["account"]).values()]
    yield from _overridden(limits, allowed)
    yield from _limits_of_qos(frames, allowed, "PerAccount", account=row["account"], user="")


def limits_of_user(frames: Frames, row: _Row) -> Iterator[Limit]:
    """Give the limits of a user's association and of all accounts above it, those inherited, and those of QOS."""
    account = find_account(frames, row["account"])
    above = account["above"] if account else []
    own = [_of_user(row, each) for each in _rows(frames["user_limits"], _is_association(row))]
    # A user without jobs has no rows of what is inherited: nothing is used of that.
    inherited = {key: replace(each, used=_nothing(*key)) for key, each in _inherited(frames, row["account"]).items()}
    inherited |= {(each.limit, each.tres): each for each in own if not is_group_limit(each.limit)}
    allowed = _allowed_qos(frames, [row, *_levels(frames, above)])
    own_group = [each for each in own if is_group_limit(each.limit)]
    limits = [*own_group, *_group_limits(frames, above), *(inherited[key] for key in sorted(inherited))]
    yield from _overridden(limits, allowed)
    yield from _limits_of_qos(frames, allowed, "PerUser", account="", user=row["user"])


def limits_of_qos(frames: Frames, qos_id: int) -> list[Limit]:
    """Give the limits that are set on a QOS, with what all its jobs use of those on the group."""
    rows = _rows(frames["qos_limits"], pl.col("qos_id") == qos_id)
    return [
        Limit(limit=row["limit"], tres=row["tres"], value=row["value"], qos=row["qos"], used=row["used"])
        for row in rows
    ]


def _rows(frame: pl.DataFrame, *is_meant: pl.Expr) -> list[dict[str, Any]]:
    return frame.filter(*is_meant).to_dicts()


def _is_association(row: _Row) -> pl.Expr:
    return pl.all_horizontal(pl.col(name) == row[name] for name in ("account", "user", "partition"))


def _levels(frames: Frames, above: Sequence[str]) -> list[_Row]:
    """Give the accounts of a chain, the nearest first; one that is not known is left out."""
    found = {row["account"]: row for row in _rows(frames["account_tree"], pl.col("account").is_in(list(above)))}
    return [found[name] for name in above if name in found]


def _group_limits(frames: Frames, above: Sequence[str]) -> list[Limit]:
    """Give the limits of everything below each account of a chain, the nearest first."""
    rows = _rows(frames["account_limits"], pl.col("is_group") & pl.col("account").is_in(list(above)))
    return [_of_account(row) for row in sorted(rows, key=lambda row: above.index(row["account"]))]


def _inherited(frames: Frames, account: str) -> dict[LimitKey, Limit]:
    rows = _rows(frames["account_limits"], ~pl.col("is_group") & (pl.col("account") == account))
    return {(row["limit"], row["tres"]): _of_account(row) for row in rows}


def _of_account(row: _Row) -> Limit:
    return Limit(
        limit=row["limit"], tres=row["tres"], value=row["value"], account=row["from_account"], used=row["used"]
    )


def _of_user(association: _Row, row: _Row) -> Limit:
    """Give a limit that is set at the association, or that it inherits."""
    partition = association["partition"] if row["from_user"] else ""
    return Limit(
        limit=row["limit"], tres=row["tres"], value=row["value"], account=row["from_account"], user=row["from_user"],
        partition=partition, used=row["used"],
    )  # fmt: skip


def _nothing(limit: str, tres: str) -> float | None:
    """Give what is used of a limit by who has no open job: None for what jobs do not tell."""
    quantity = QUANTITIES.get(limit)
    is_told = quantity in (RUNNING_JOBS, SUBMITTED_JOBS) or (quantity is not None and is_allocated(tres))
    return 0.0 if is_told else None


@dataclass(frozen=True, slots=True)
class _Qos:
    """A QOS that may be used, with the limits that are set on it."""

    id: int
    name: str
    limits: Mapping[LimitKey, float]


def _allowed_qos(frames: Frames, levels: Iterable[_Row]) -> list[_Qos]:
    """Give the QOS that may be used: those of the nearest level that sets any, with the changes below it."""
    changes: list[_Row] = []
    allowed: set[int] = set()
    for level in levels:
        changes.append(level)
        if level["qos"]:
            allowed = set(level["qos"])
            break
    for level in reversed(changes):
        allowed = (allowed | set(level["added_qos"])) - set(level["removed_qos"])
    names = dict(frames["qos"].select("qos_id", "qos").iter_rows())
    limits: dict[int, dict[LimitKey, float]] = {number: {} for number in sorted(allowed) if number in names}
    for row in _rows(frames["qos_limits"], pl.col("qos_id").is_in(list(limits))):
        limits[row["qos_id"]][row["limit"], row["tres"]] = row["value"]
    return [_Qos(number, names[number], of) for number, of in limits.items()]


def _overridden(limits: Iterable[Limit], allowed: Sequence[_Qos]) -> Iterator[Limit]:
    """Name the QOS that have a limit of their own in place of each."""
    for limit in limits:
        names = (limit.limit, *OVERRIDES.get(limit.limit, ()))
        found = tuple(qos.name for qos in allowed if any((name, limit.tres) in qos.limits for name in names))
        yield replace(limit, overridden_by=found)


def _limits_of_qos(frames: Frames, allowed: Sequence[_Qos], suffix: str, *, account: str, user: str) -> Iterator[Limit]:
    """Give the limits of QOS on each account, or on each user, with what this one uses of them."""
    whose = (pl.col("account") == account) & (pl.col("user") == user)
    rows = _rows(frames["qos_limits_used"], whose)
    used = {(row["qos_id"], row["limit"], row["tres"]): row["used"] for row in rows}
    for qos in allowed:
        for (limit, tres), value in qos.limits.items():
            if limit.endswith(suffix):
                of_this = used.get((qos.id, limit, tres), _nothing(limit, tres))
                yield Limit(limit=limit, tres=tres, value=value, qos=qos.name, used=of_this)
