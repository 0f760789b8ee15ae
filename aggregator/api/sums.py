"""GET …/users, …/accounts of a cluster, and one of each: what their open runs add up to, and their energy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.energy_representation import totals_json
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.keys import SETTINGS, STORE
from aggregator.api.limits import account_json, user_json
from aggregator.api.lookup import find_accounted_cluster
from aggregator.api.lustre_representation import lustre_json
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json, Row, sums_json
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Rights, is_account, memberships, rights_of
from aggregator.engine.frame import total
from aggregator.model.energy import Price
from aggregator.model.view import ClusterView

Owner = Literal["user", "account"]
# Account and user, which is "" for the account itself.
Key = tuple[str, str]
KEY: Final = ("account", "user")
_SHOWN: Final = 100


@of_snapshot
async def get_user(request: web.Request) -> web.Response:
    """Answer with one user under each account."""
    Parameters(request)
    view, rights = _look(request)
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
    view, rights = _look(request)
    name = request.match_info["account"]
    in_tree = [(name, "")] if is_account(view, name) else []
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


def _look(request: web.Request) -> tuple[ClusterView, Rights]:
    view = find_accounted_cluster(request, request.app[STORE].current)
    return view, rights_of(identity_of(request), request.app[SETTINGS].rules, view)


def _rows(view: ClusterView, of: Owner, rights: Rights, chosen: pl.Expr, also: Iterable[Key] = ()) -> list[Json]:
    return rows_json(view, of, sums_of(view, of, rights, also).filter(chosen))


def sums_of(view: ClusterView, of: Owner, rights: Rights, also: Iterable[Key] = ()) -> pl.DataFrame:
    """Give the sums of every user under each account, or of every account, that may be seen, by account and user.

    Beside the columns of `users` and `accounts`: allocated_gpus, energy_joules, lustre_bytes and lustre_metadata. Who
    has no open run may have the last ones, and who is named in `also` has a row in any case. What a user does outside
    of jobs is under the account "".
    """
    gpus = _keyed(view, of, "gpus").group_by(KEY).agg(allocated_gpus=pl.col("count").sum())
    found = _keyed(view, of).with_columns(is_live=True)
    for more in (gpus, _energy(view, of), _lustre(view, of), _frame(also)):
        found = found.join(more, on=KEY, how="full", coalesce=True)
    return (
        found.with_columns(
            pl.when("is_live").then(name).otherwise(0.0).alias(name)
            for name in ("allocated_cpus", "allocated_memory_bytes")
        )
        .filter(rights.seen if of == "user" else rights.seen_accounts)
        .sort(KEY)
    )


def _keyed(view: ClusterView, of: Owner, counts: str = "") -> pl.DataFrame:
    """Give a table of users or of accounts, with the key of both."""
    frame = view.frames[f"{of}_{counts}" if counts else f"{of}s"]
    return frame if of == "user" else frame.with_columns(user=pl.lit(""))


def _energy(view: ClusterView, of: Owner) -> pl.DataFrame:
    return _keyed(view, of, "energy").select(*KEY, energy_joules="energy_joules_total")


def _lustre(view: ClusterView, of: Owner) -> pl.DataFrame:
    """Give the rates of everybody on all file systems together."""
    rows = _keyed(view, of, "lustre").with_columns(lustre_metadata="metadata_operations_per_second")
    moved = [total(f"{kind}_bytes_per_second") for kind in ("read", "write")]
    known = pl.any_horizontal(each.is_not_null() for each in moved)
    return rows.group_by(KEY).agg(
        lustre_bytes=pl.when(known).then(pl.sum_horizontal(moved)), lustre_metadata=total("lustre_metadata")
    )


def _frame(rows: Iterable[Sequence[Any]], *numbers: str) -> pl.DataFrame:
    schema = {**dict.fromkeys(KEY, pl.String), **dict.fromkeys(numbers, pl.Float64)}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def rows_json(view: ClusterView, of: Owner, sums: pl.DataFrame) -> list[Json]:
    """Show rows of `sums_of`."""
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
