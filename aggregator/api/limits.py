"""Limits, shares and coordinators as JSON, and GET …/qos: the limits of every QOS."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
from aiohttp import web

from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings
from aggregator.api.keys import STORE
from aggregator.api.lookup import find_seen_cluster
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json
from aggregator.api.standings import Limit, find_account, find_user, limits_of_account, limits_of_qos, limits_of_user
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights
from aggregator.engine.frame import Frames

PARENT = "parent"


@of_snapshot
async def list_qos(request: web.Request) -> web.Response:
    """Answer with every QOS and its limits; what is used of them is for those who see everything."""
    Parameters(request)
    snapshot = request.app[STORE].current
    view, rights = find_seen_cluster(request)
    rows = [
        {
            "qos": name,
            "priority": priority,
            "limits": [limit_json(limit, seen=rights.everything) for limit in limits_of_qos(view.frames, qos_id)],
        }
        for qos_id, name, priority in view.frames["qos"].select("qos_id", "qos", "priority").iter_rows()
    ]
    return success(request, {"qos": rows}, list(source_warnings(snapshot, view.cluster)))


def account_json(frames: Frames, account: str, rights: Rights) -> Json:
    """Show an account's shares, limits and coordinators; null shares where no association is known."""
    row = find_account(frames, account)
    limits = limits_of_account(frames, row) if row else ()
    coordinators = frames["coordinators"].filter(pl.col("account") == account)["user"]
    return {
        "shares": shares_json(row) if row else None,
        "fair_share": fair_share_json(row) if row else None,
        "limits": _limits_json(limits, None, rights, rights.sees_sums(account)),
        "coordinators": sorted(coordinators),
    }


def user_json(frames: Frames, account: str, user: str, rights: Rights) -> Json:
    """Show the shares and limits of a user under an account: of each partition's own association too."""
    rows = find_user(frames, account, user)
    every = next((row for row in rows if not row["partition"]), None)
    # What a QOS counts of a user is of all the user's accounts, not only of those that the client may see.
    sees_qos = rights.everything or rights.user == user
    return {
        "shares": shares_json(every) if every else None,
        "fair_share": fair_share_json(every) if every else None,
        "limits": [
            limit
            for row in rows
            for limit in _limits_json(limits_of_user(frames, row), row["partition"] or None, rights, sees_qos)
        ],
    }


def shares_json(row: Mapping[str, Any]) -> Json:
    """Show shares as Slurm does, the number or `parent`, with their part of the level."""
    return {"shares": PARENT if row["shares"] is None else row["shares"], "ratio": row["shares_ratio"]}


def fair_share_json(row: Mapping[str, Any]) -> Json:
    """Show how an association is served; a level of null with a source is infinity: nothing was used."""
    return {
        "level": row["fairshare_level"],
        "source": row["fairshare_source"],
        "shares_ratio": row["shares_ratio"],
        "usage_ratio": row["usage_ratio"],
    }


def limit_json(limit: Limit, *, seen: bool) -> Json:
    """Show one limit; what is used of it only to those who may see whose use that is."""
    return {
        "limit": limit.limit,
        "tres": limit.tres or None,
        "value": limit.value,
        "unit": limit.unit,
        "used": limit.used if seen else None,
        "head_room": limit.head_room if seen else None,
        "from": _from_json(limit),
        "overridden_by": list(limit.overridden_by),
    }


def _limits_json(limits: Iterable[Limit], partition: str | None, rights: Rights, sees_qos: bool) -> list[Json]:
    return [
        {
            **limit_json(limit, seen=sees_qos if limit.qos else rights.sees_sums(limit.account, limit.user)),
            "partition": partition,
        }
        for limit in limits
    ]


def _from_json(limit: Limit) -> Json:
    """Say where a limit is set."""
    if limit.qos:
        return {"qos": limit.qos}
    place = {"account": limit.account, "user": limit.user, "partition": limit.partition}
    return {name: value for name, value in place.items() if value}
