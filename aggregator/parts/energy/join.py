"""What does a snapshot show of the ledger?"""

from collections.abc import Mapping, Sequence
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
# Column of a table → what it has of each component.
_OF_JOBS: Final = {"amount": ""}
_OF_OWNERS: Final = {"amount": "", "wasted_amount": "wasted_"}
_COMPONENTS: Final = sorted(COST_COMPONENTS)
_COSTS: Final = tuple(f"{prefix}{component}_cost" for prefix in _OF_OWNERS.values() for component in _COMPONENTS)
_WASTE: Final = {
    "wasted_cpu_seconds": "wasted_cpu_seconds_total", "wasted_gpu_seconds": "wasted_gpu_seconds_total",
    "wasted_joules": "wasted_energy_joules_total",
}  # fmt: skip
_SUMS: Final = {"joules": "energy_joules_total", "co2_grams": "co2_grams_total", **_WASTE}


def join_energy(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Add to the jobs what the ledger has of them, and show its users, accounts, nodes, and the whole cluster."""
    view = inputs.get(LedgerView)
    if view is None:
        return {}
    jobs = add_energy(frames["jobs"], view)
    costs = _long(view.totals.run_costs.sort("currency"), ["run_id"], _OF_JOBS)
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
        "cluster_energy": _cluster(nodes, ledger),
        "cluster_costs": _long(ledger.user_costs.group_by("currency").agg(totals(_COSTS)), [], _OF_OWNERS)
        .drop_nulls("wasted_amount")
        .sort("component", "currency"),
    }


def _long(costs: pl.DataFrame, keys: Sequence[str], amounts: Mapping[str, str]) -> pl.DataFrame:
    """Put the amounts of each component that has cost anything into a row: the keys, currency, component, amounts."""
    rows = [
        costs.select(
            *keys, "currency", pl.lit(component).alias("component"),
            *(pl.col(f"{prefix}{component}_cost").alias(name) for name, prefix in amounts.items()),
        )
        for component in _COMPONENTS
    ]  # fmt: skip
    return pl.concat(rows).drop_nulls("amount")


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
        "user_costs": _long(of_users, ["account", "user"], _OF_OWNERS).sort("account", "user", "component", "currency"),
        "account_energy": _energy(accounts.agg(pl.max("until"), *totals(_SUMS))).sort("account"),
        "account_costs": _long(of_accounts.agg(totals(_COSTS)), ["account"], _OF_OWNERS).sort(
            "account", "component", "currency"
        ),
    }


def _energy(sums: pl.DataFrame) -> pl.DataFrame:
    return sums.rename({"until": "until_seconds", **_SUMS})


def _nodes(ledger: LedgerTotals, power: Power | None) -> pl.DataFrame:
    """Give the joules of each node, and the watts of those that were measured in the last window."""
    return add_columns(ledger.nodes.drop("meter"), power.nodes if power else NODE_POWER.empty(), on="node")


def _cluster(nodes: pl.DataFrame, ledger: LedgerTotals) -> pl.DataFrame:
    """Add up the nodes, and what all users have wasted, also those who are not shown."""
    sums = nodes.select(totals(f"{name}_{unit}" for unit in ("watts", "joules") for name in COMPONENTS))
    wasted = ledger.users.select(totals(_WASTE)).rename(_WASTE)
    return sums.hstack(wasted).with_columns(window_end_seconds=pl.lit(ledger.window_end))
