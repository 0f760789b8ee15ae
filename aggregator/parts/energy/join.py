"""What does a snapshot show of the ledger?"""

from collections.abc import Sequence
from typing import Final

import polars as pl

from aggregator.engine.frame import Frames, add_columns, totals
from aggregator.engine.once import once
from aggregator.engine.part import Inputs
from aggregator.model.energy import COMPONENTS, COST_COMPONENTS
from aggregator.model.ledger import NODE_POWER, LedgerTotals, LedgerView, Power
from aggregator.parts.energy.runs import add_energy
from aggregator.parts.jobs.declare import OF_RUN

# A user who has not run anything for this long is not on the page any more; the state keeps the totals.
QUIET_SECONDS: Final = 30 * 86_400.0
_OF_USER: Final = ("user", "account")
_COMPONENTS: Final = sorted(COST_COMPONENTS)
_AMOUNTS: Final = tuple(f"{component}_cost" for component in _COMPONENTS)


def join_energy(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Add to the jobs what the ledger has of them, and show its users, accounts, nodes, and the whole cluster."""
    view = inputs.get(LedgerView)
    if view is None:
        return {}
    jobs = add_energy(frames["jobs"], view)
    costs = _long(view.totals.run_costs.sort("currency"), ["run_id"])
    job_costs = jobs.select(OF_RUN).join(costs, on="run_id", maintain_order="left_right")
    return {
        "jobs": jobs,
        "job_costs": job_costs,
        **_of_others(view.totals, view.power),
    }


@once
def _of_others(ledger: LedgerTotals, power: Power | None) -> Frames:
    """Give all that is no job's: it is the same until another window closes."""
    nodes = _nodes(ledger, power)
    return {
        **_users_and_accounts(ledger),
        "node_energy": nodes.sort("node"),
        "cluster_energy": _cluster(nodes, ledger.window_end),
    }


def _long(costs: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Put each amount that is known into a row: the keys, currency, component, amount; component by component."""
    named = costs.rename(dict(zip(_AMOUNTS, _COMPONENTS, strict=True)))
    rows = named.unpivot(_COMPONENTS, index=[*keys, "currency"], variable_name="component", value_name="amount")
    return rows.drop_nulls("amount")


def _users_and_accounts(ledger: LedgerTotals) -> Frames:
    """Give users that are not quiet, and their accounts.

    An account has the totals of those users who are not shown, too: its counter must not go back when one falls silent.
    """
    recent = ledger.users.filter(pl.col("until") >= ledger.window_end - QUIET_SECONDS)
    shown = recent.select("account").unique()
    of_users = ledger.user_costs.join(recent, on=_OF_USER, how="semi")
    of_accounts = ledger.user_costs.join(shown, on="account", how="semi").group_by("account", "currency")
    accounts = ledger.users.join(shown, on="account", how="semi").group_by("account")
    return {
        "user_energy": _energy(recent).sort("account", "user"),
        "user_costs": _long(of_users, ["account", "user"]).sort("account", "user", "component", "currency"),
        "account_energy": _energy(accounts.agg(pl.max("until"), *totals(["joules", "co2_grams"]))).sort("account"),
        "account_costs": _long(of_accounts.agg(totals(_AMOUNTS)), ["account"]).sort("account", "component", "currency"),
    }


def _energy(sums: pl.DataFrame) -> pl.DataFrame:
    return sums.rename({"until": "until_seconds", "joules": "energy_joules_total", "co2_grams": "co2_grams_total"})


def _nodes(ledger: LedgerTotals, power: Power | None) -> pl.DataFrame:
    """Give the joules of each node, and the watts of those that were measured in the last window."""
    return add_columns(ledger.nodes.drop("meter"), power.nodes if power else NODE_POWER.empty(), on="node")


def _cluster(nodes: pl.DataFrame, window_end: float) -> pl.DataFrame:
    sums = nodes.select(totals(f"{name}_{unit}" for unit in ("watts", "joules") for name in COMPONENTS))
    return sums.with_columns(window_end_seconds=pl.lit(window_end))
