"""GET …/users/{user} and …/accounts/{account}: the rows of their lists, with shares, limits and who belongs to whom."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypedDict

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.answer import row
from aggregator.api.audit import audit
from aggregator.api.cluster_lists import ACCOUNTS_PATH, USERS_PATH
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.lists import LISTS, ListRoute, shown
from aggregator.api.owner_rows import Owner, owner_rows
from aggregator.api.representation import Json
from aggregator.api.standings import Limit, find_account, find_user, limits_of_account, limits_of_user
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights, is_account, memberships
from aggregator.engine.frame import Frames
from aggregator.model.view import ClusterView

PARENT: Final = "parent"
_STANDING: Final = ("shares_ratio", "fairshare_level", "fairshare_source", "usage_ratio")
_SHOWN: Final = 100


# `from` is a word of Python.
LimitShown = TypedDict("LimitShown", {
    "limit": str, "tres": str | None, "value": float, "unit": str, "used": float | None, "headroom": float | None,
    "from": dict[str, str], "overridden_by": list[str], "partition": str | None,
})  # fmt: skip


class StandingShown(TypedDict):
    """Shares, fair share and limits."""

    shares: int | str | None
    shares_ratio: float | None
    fairshare_level: float | None
    fairshare_source: str | None
    usage_ratio: float | None
    limits: list[LimitShown]


class UserShown(TypedDict):
    """A user under each account."""

    user: str
    accounts: list[Annotated[Json, row("cluster_users", "StandingShown")]]


class AccountShown(StandingShown):
    """One account, beside the fields of the list."""

    children: list[str]
    coordinators: list[str]
    users: list[Annotated[Json, row("cluster_users")]]


@of_snapshot
async def get_user(request: web.Request) -> web.Response:
    """Answer with one user under each account."""
    return success(request, *await read_user(request))


async def read_user(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of the user in the path, and what is missing.

    Raises ApiError, FetchError.
    """
    each = request.app[LISTS][USERS_PATH]
    view, rights, warnings = await each.look(request)
    name = request.match_info["user"]
    members = [(account, name) for account in memberships(view, name)]
    found = await executors.run(executors.ANSWERS, _rows, each, view, "user", rights, "user", name, members)
    if not found:
        raise NotFound(f'user "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')
    audit(request, (name,))
    rows = [{**row, **_of_user(view.frames, row["account"], name, rights)} for row in found]
    return {"user": name, "accounts": rows}, warnings


@of_snapshot
async def get_account(request: web.Request) -> web.Response:
    """Answer with one account: its own sums, its children, and those of its users that may be seen."""
    return success(request, *await read_account(request))


async def read_account(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of the account in the path, and what is missing.

    Raises ApiError, FetchError.
    """
    each, of_users = (request.app[LISTS][path] for path in (ACCOUNTS_PATH, USERS_PATH))
    view, rights, warnings = await each.look(request)
    name = request.match_info["account"]
    in_tree = [(name,)] if is_account(view, name) else []
    found = await executors.run(executors.ANSWERS, _rows, each, view, "account", rights, "account", name, in_tree)
    if not found:
        raise NotFound(f'account "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')
    users = await executors.run(executors.ANSWERS, _rows, of_users, view, "user", rights, "account", name)
    more = _of_account(view.frames, name, rights)
    audit(request, {*(user["user"] for user in users), *more["coordinators"]})
    return {**found[0], **more, "users": users}, warnings


def _rows(
    each: ListRoute[ClusterView], view: ClusterView, of: Owner, rights: Rights, column: str, name: str,
    also: Iterable[tuple[str, ...]] = (),
) -> list[Json]:  # fmt: skip
    """Show those of one name that may be seen; who is named in `also` has a row in any case."""
    found = owner_rows(view, of, also).filter((pl.col(column) == name) & each.sees(rights, view))
    return shown(each.of(rights), found, view.frames)


def _of_account(frames: Frames, account: str, rights: Rights) -> Json:
    """Show an account's shares, limits, children and coordinators; null shares where no association is known."""
    row = find_account(frames, account)
    limits = limits_of_account(frames, row) if row else ()
    return {
        **_standing(row),
        "limits": _limits_json(limits, None, rights, rights.sees_sums(account)),
        "children": sorted(frames["account_tree"].filter(pl.col("parent") == account)["account"]),
        "coordinators": sorted(frames["coordinators"].filter(pl.col("account") == account)["user"]),
    }


def _of_user(frames: Frames, account: str, user: str, rights: Rights) -> Json:
    """Show the shares and limits of a user under an account: of each partition's own association too."""
    rows = find_user(frames, account, user)
    # What a QOS counts of a user is of all the user's accounts, not only of those that the client may see.
    sees_qos = rights.everything or rights.user == user
    return {
        **_standing(next((row for row in rows if not row["partition"]), None)),
        "limits": [
            limit
            for row in rows
            for limit in _limits_json(limits_of_user(frames, row), row["partition"] or None, rights, sees_qos)
        ],
    }


def _standing(row: Mapping[str, Any] | None) -> Json:
    """Show shares as Slurm does, the number or `parent`, and how an association is served.

    A level of null with a source is infinity: nothing was used.
    """
    if row is None:
        return dict.fromkeys(("shares", *_STANDING))
    return {"shares": PARENT if row["shares"] is None else row["shares"], **{name: row[name] for name in _STANDING}}


def _limits_json(limits: Iterable[Limit], partition: str | None, rights: Rights, sees_qos: bool) -> list[Json]:
    """Show limits; what is used of them only to those who may see whose use that is."""
    return [
        {
            "limit": limit.limit,
            "tres": limit.tres or None,
            "value": limit.value,
            "unit": limit.unit,
            "used": limit.used if is_seen else None,
            "headroom": limit.headroom if is_seen else None,
            "from": {name: value for name, value in _place(limit).items() if value},
            "overridden_by": list(limit.overridden_by),
            "partition": partition,
        }
        for limit in limits
        for is_seen in (sees_qos if limit.qos else rights.sees_sums(limit.account, limit.user),)
    ]


def _place(limit: Limit) -> Mapping[str, str]:
    """Say where a limit is set."""
    if limit.qos:
        return {"qos": limit.qos}
    return {"account": limit.account, "user": limit.user, "partition": limit.partition}
