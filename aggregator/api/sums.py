"""GET …/users, …/accounts of a cluster, and one of each: what their open runs add up to, and their energy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.energy_representation import totals_json
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.limits import account_json, user_json
from aggregator.api.lookup import find_accounted_cluster
from aggregator.api.lustre_representation import sums_lustre_json
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.representation import Json, sums_json
from aggregator.api.selection import select_sums
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.model.energy import Totals
from aggregator.model.lustre import LustreSums
from aggregator.model.view import ClusterView, EnergySums, Sums

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class SumsRow:
    """The live sums of an account, or of a user in it, what the ledger has added up of them, and Lustre's rates."""

    live: Sums
    totals: Totals | None = None
    lustre: LustreSums | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Give account and user."""
        return self.live.account, self.live.user

    def json(self) -> Json:
        """Show what is known of them."""
        return {
            "account": self.live.account,
            **({"user": self.live.user} if self.live.user else {}),
            **sums_json(self.live),
            "lustre": sums_lustre_json(self.lustre),
            "energy": totals_json(self.totals) if self.totals else None,
        }


@of_snapshot
async def list_users(request: web.Request) -> web.Response:
    """Answer with the users under each of their accounts that may be seen, by account and name, page by page."""
    asked = Parameters(request, "user", "account", "limit", "cursor")
    users, accounts, after, limit = asked.many("user"), asked.many("account"), asked.cursor(str, 2), asked.limit()
    view, sight = _look(request)
    found = [
        sums
        for sums in users_of(view, sight)
        if (not users or sums.live.user in users) and (not accounts or sums.live.account in accounts)
    ]
    page, last = select_sums(found, lambda sums: sums.key, after, limit)
    audit(request, (sums.live.user for sums in page))
    data = {"users": [sums.json() for sums in page], "next_cursor": write_cursor(*last) if last else None}
    return success(request, data, _warnings(request, view))


@of_snapshot
async def get_user(request: web.Request) -> web.Response:
    """Answer with one user under each account."""
    Parameters(request)
    view, sight = _look(request)
    name = request.match_info["user"]
    found = {sums.live.account: sums for sums in users_of(view, sight) if sums.live.user == name}
    members = (Sums(account, name) for account, user in view.limits.users if user == name)
    found = {sums.account: SumsRow(sums) for sums in members if sight.sees_sums(sums)} | found
    if not found:
        raise NotFound(f'user "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')
    audit(request, (name,))
    rows = [{**sums.json(), **user_json(view.limits, account, name, sight)} for account, sums in sorted(found.items())]
    data = {"user": name, "accounts": rows}
    return success(request, data, _warnings(request, view))


@of_snapshot
async def list_accounts(request: web.Request) -> web.Response:
    """Answer with the accounts that may be seen, by name, page by page."""
    asked = Parameters(request, "account", "limit", "cursor")
    accounts, after, limit = asked.many("account"), asked.cursor(str, 2), asked.limit()
    view, sight = _look(request)
    found = [sums for sums in accounts_of(view, sight) if not accounts or sums.live.account in accounts]
    page, last = select_sums(found, lambda sums: sums.key, after, limit)
    data = {
        "accounts": [_account_json(sums, view) for sums in page],
        "next_cursor": write_cursor(*last) if last else None,
    }
    return success(request, data, _warnings(request, view))


@of_snapshot
async def get_account(request: web.Request) -> web.Response:
    """Answer with one account: its own sums, its children, and those of its users that may be seen."""
    Parameters(request)
    view, sight = _look(request)
    name = request.match_info["account"]
    of_account = {sums.live.account: sums for sums in accounts_of(view, sight)}
    known = of_account.get(name) or (SumsRow(Sums(name)) if name in view.tree and sight.sees_sums(Sums(name)) else None)
    if known is None:
        raise NotFound(f'account "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')
    users = [sums for sums in users_of(view, sight) if sums.live.account == name]
    of_account_itself = account_json(view.limits, name, sight)
    audit(request, {*(sums.live.user for sums in users), *of_account_itself["coordinators"]})
    children = sorted(account.name for account in view.tree.values() if account.parent == name)
    data = {
        **_account_json(known, view),
        **of_account_itself,
        "children": children,
        "users": [sums.json() for sums in users],
    }
    return success(request, data, _warnings(request, view))


def _look(request: web.Request) -> tuple[ClusterView, Sight]:
    view = find_accounted_cluster(request, request.app[STORE].current)
    return view, sight_of(identity_of(request), request.app[SETTINGS].rules, view)


def users_of(view: ClusterView, sight: Sight) -> list[SumsRow]:
    """Give the sums of every user under each account that may be seen."""
    return _join(view.users, view.energy_users, view.lustre.users if view.lustre else (), sight)


def accounts_of(view: ClusterView, sight: Sight) -> list[SumsRow]:
    """Give the sums of every account that may be seen."""
    return _join(view.accounts, view.energy_accounts, view.lustre.accounts if view.lustre else (), sight)


def _join(
    live: Sequence[Sums], energy: Iterable[EnergySums], lustre: Iterable[LustreSums], sight: Sight
) -> list[SumsRow]:
    """Put live sums, totals and rates together, by account and user; who has no open run may have the others.

    What a user does outside of jobs is under the account "".
    """
    totals: Mapping[tuple[str, str], Totals] = {(sums.account, sums.user): sums.totals for sums in energy}
    rates = {(sums.account, sums.user): sums for sums in lustre}
    by_key = {(sums.account, sums.user): sums for sums in live}
    keys = sorted(by_key.keys() | totals.keys() | rates.keys())
    every = ((key, by_key.get(key, Sums(*key))) for key in keys)
    return [SumsRow(sums, totals.get(key), rates.get(key)) for key, sums in every if sight.sees_sums(sums)]


def _account_json(sums: SumsRow, view: ClusterView) -> Json:
    known = view.tree.get(sums.live.account)
    place = {"parent": known.parent or None, "organization": known.organization or None} if known else {}
    return {**sums.json(), **place}


def _warnings(request: web.Request, view: ClusterView) -> list[str]:
    return list(source_warnings(request.app[STORE].current, view.cluster))
