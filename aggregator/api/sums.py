"""GET …/users/{user} and …/accounts/{account}: what their open runs add up to, and their energy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.energy_representation import totals_json
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.keys import STORE
from aggregator.api.limits import account_json, user_json
from aggregator.api.lookup import find_seen_cluster
from aggregator.api.lustre_representation import lustre_json
from aggregator.api.owner_rows import Owner, owner_rows
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json, Row, sums_json
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights, is_account, memberships
from aggregator.model.energy import Price
from aggregator.model.view import ClusterView

# Account and user, which is "" for the account itself.
Key = tuple[str, str]
KEY: Final = ("account", "user")
_SHOWN: Final = 100


@of_snapshot
async def get_user(request: web.Request) -> web.Response:
    """Answer with one user under each account."""
    Parameters(request)
    view, rights = find_seen_cluster(request)
    name = request.match_info["user"]
    members = [(account, name) for account in memberships(view, name)]
    is_asked = pl.col("user") == name
    found = await executors.run(executors.ANSWERS, _rows, view, "user", rights, is_asked, members)
    if not found:
        raise NotFound(f'user "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')
    audit(request, (name,))
    rows = [{**row, **user_json(view.frames, row["account"], name, rights)} for row in found]
    return success(request, {"user": name, "accounts": rows}, _warnings(request))


@of_snapshot
async def get_account(request: web.Request) -> web.Response:
    """Answer with one account: its own sums, its children, and those of its users that may be seen."""
    Parameters(request)
    view, rights = find_seen_cluster(request)
    name = request.match_info["account"]
    in_tree = [(name,)] if is_account(view, name) else []
    is_asked = pl.col("account") == name
    known = await executors.run(executors.ANSWERS, _rows, view, "account", rights, is_asked, in_tree)
    if not known:
        raise NotFound(f'account "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')
    users = await executors.run(executors.ANSWERS, _rows, view, "user", rights, is_asked)
    of_account_itself = account_json(view.frames, name, rights)
    audit(request, {*(user["user"] for user in users), *of_account_itself["coordinators"]})
    children = sorted(view.frames["account_tree"].filter(pl.col("parent") == name)["account"])
    (of_account,) = _placed(view, known)
    data = {**of_account, **of_account_itself, "children": children, "users": users}
    return success(request, data, _warnings(request))


def _rows(
    view: ClusterView, of: Owner, rights: Rights, chosen: pl.Expr, also: Iterable[Sequence[str]] = ()
) -> list[Json]:
    """Show those owners that are chosen and may be seen; who is named in `also` has a row in any case."""
    seen = rights.seen if of == "user" else rights.seen_accounts
    found = owner_rows(view, of, also).filter(chosen & seen)
    return _rows_json(view, of, found if of == "user" else found.with_columns(user=pl.lit("")))


def _keyed(view: ClusterView, of: Owner, kind: str) -> pl.DataFrame:
    """Give a table of users or of accounts, with the key of both."""
    frame = view.frames[f"{of}_{kind}"]
    return frame if of == "user" else frame.with_columns(user=pl.lit(""))


def _rows_json(view: ClusterView, of: Owner, sums: pl.DataFrame) -> list[Json]:
    """Show rows of owners."""
    states, gpus, findings = (_counts(view, of, kind, sums) for kind in ("states", "gpus", "findings"))
    energy, costs, lustre = (_rows_in(view, of, kind, sums) for kind in ("energy", "costs", "lustre"))
    rows = []
    for row in sums.iter_rows(named=True):
        key = row["account"], row["user"]
        rows.append(
            {
                "account": row["account"],
                **({"user": row["user"]} if of == "user" else {}),
                **sums_json(row, states.get(key, {}), gpus.get(key, {}), findings.get(key, {})),
                "lustre": lustre_json(lustre[key]) if key in lustre else None,
                "energy": totals_json(energy[key][0], _costs(costs.get(key, ()))) if key in energy else None,
            }
        )
    return rows


def _costs(rows: Iterable[Row]) -> Mapping[Price, float]:
    return {(row["component"], row["currency"]): row["amount"] for row in rows}


def _rows_in(view: ClusterView, of: Owner, kind: str, sums: pl.DataFrame) -> Mapping[Key, list[Row]]:
    """Give the rows of users or accounts in another table, such as those of each file system in `lustre`."""
    found: dict[Key, list[Row]] = {}
    own = _keyed(view, of, kind).join(sums.select(KEY), on=KEY, how="semi", maintain_order="left")
    for row in own.iter_rows(named=True):
        found.setdefault((row["account"], row["user"]), []).append(row)
    return found


def _counts(view: ClusterView, of: Owner, kind: str, sums: pl.DataFrame) -> Mapping[Key, Mapping[Any, int]]:
    """Give the counts of users or accounts by what they are counted by."""
    own = _keyed(view, of, kind).join(sums.select(KEY), on=KEY, how="semi")
    by = [name for name in own.columns if name not in (*KEY, "count")]
    found: dict[Key, dict[Any, int]] = {}
    for account, user, count, *of_what in own.sort(by).select(*KEY, "count", *by).iter_rows():
        found.setdefault((account, user), {})[of_what[0] if len(by) == 1 else tuple(of_what)] = count
    return found


def _placed(view: ClusterView, accounts: list[Json]) -> list[Json]:
    """Add where accounts are in the tree, as far as it has them."""
    names = [row["account"] for row in accounts]
    tree = view.frames["account_tree"].filter(pl.col("account").is_in(names))
    places = {
        account: {"parent": parent or None, "organization": organization or None}
        for account, parent, organization in tree.select("account", "parent", "organization").iter_rows()
    }
    return [{**row, **places.get(row["account"], {})} for row in accounts]


def _warnings(request: web.Request) -> list[str]:
    return list(source_warnings(request.app[STORE].current, request.match_info["cluster"]))
