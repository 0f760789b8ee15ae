"""Limits, shares and coordinators as JSON, and GET …/qos: the limits of every QOS."""

from collections.abc import Sequence

from aiohttp import web

from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.lookup import find_accounted_cluster
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.model.association import Limit, LimitsView, Standing

PARENT = "parent"


@of_snapshot
async def list_qos(request: web.Request) -> web.Response:
    """Answer with every QOS and its limits; what is used of them is for those who see everything."""
    Parameters(request)
    snapshot = request.app[STORE].current
    view = find_accounted_cluster(request, snapshot)
    sight = sight_of(identity_of(request), request.app[SETTINGS].rules, view)
    rows = [
        {
            "qos": standing.qos.name,
            "priority": standing.qos.priority,
            "limits": [limit_json(limit, seen=sight.everything) for limit in standing.limits],
        }
        for standing in view.limits.qos
    ]
    return success(request, {"qos": rows}, list(source_warnings(snapshot, view.cluster)))


def account_json(limits: LimitsView, account: str, sight: Sight) -> Json:
    """Show an account's shares, limits and coordinators; null shares where no association is known."""
    standing = limits.accounts.get(account)
    return {
        "shares": shares_json(standing) if standing else None,
        "fair_share": fair_share_json(standing) if standing else None,
        "limits": _limits_json((standing,) if standing else (), sight, sight.sees_sums(account)),
        "coordinators": sorted(limits.coordinators.get(account, ())),
    }


def user_json(limits: LimitsView, account: str, user: str, sight: Sight) -> Json:
    """Show the shares and limits of a user under an account: of each partition's own association too."""
    standings = limits.users.get((account, user), ())
    every = next((standing for standing in standings if not standing.partition), None)
    # What a QOS counts of a user is of all the user's accounts, not only of those that the client may see.
    sees_qos = sight.everything or sight.user == user
    return {
        "shares": shares_json(every) if every else None,
        "fair_share": fair_share_json(every) if every else None,
        "limits": _limits_json(standings, sight, sees_qos),
    }


def shares_json(standing: Standing) -> Json:
    """Show shares as Slurm does, the number or `parent`, with their part of the level."""
    return {
        "shares": PARENT if standing.shares is None else standing.shares,
        "ratio": standing.shares_ratio,
    }


def fair_share_json(standing: Standing) -> Json:
    """Show how an association is served; a level of null with a source is infinity: nothing was used."""
    return {
        "level": standing.fairshare.level,
        "source": standing.fairshare.source or None,
        "shares_ratio": standing.shares_ratio,
        "usage_ratio": standing.fairshare.usage_ratio,
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


def _limits_json(standings: Sequence[Standing], sight: Sight, sees_qos: bool) -> list[Json]:
    return [
        {
            **limit_json(limit, seen=sees_qos if limit.qos else sight.sees_sums(limit.account, limit.user)),
            "partition": standing.partition or None,
        }
        for standing in standings
        for limit in standing.limits
    ]


def _from_json(limit: Limit) -> Json:
    """Say where a limit is set."""
    if limit.qos:
        return {"qos": limit.qos}
    place = {"account": limit.account, "user": limit.user, "partition": limit.partition}
    return {name: value for name, value in place.items() if value}
