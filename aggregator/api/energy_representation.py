"""How power, energy, CO2 and cost look in JSON: pure functions."""

from collections.abc import Mapping

from aggregator.api.representation import LEDGER, Json, Row, times, value
from aggregator.model.energy import COMPONENTS, METERS, MODELS, Price, Prices
from aggregator.model.moment import rfc3339
from aggregator.model.view import ClusterView


def job_energy_json(row: Row, costs: Mapping[Price, float], prices: Prices | None) -> Json | None:
    """Show one run's power, its energy by every model, and what it costs; None while the ledger has not seen it."""
    if row["ledger_since_seconds"] is None or prices is None:
        return None
    coverage = row["power_coverage_ratio"]
    return {
        "model": prices.model,
        "energy": value(row["energy_joules_total"], "joules", coverage, LEDGER),
        "by_model": {model: value(row[f"{model}_energy_joules"], "joules", coverage, LEDGER) for model in MODELS},
        "gpu_energy": value(row["gpu_energy_joules"], "joules", None, LEDGER),
        "meters": _meters_json(row),
        "power": _power_json(row),
        "gpu_utilization": value(row["gpu_efficiency_ratio"], "ratio", _gpu_coverage(row), LEDGER),
        **_costs_json(row["co2_grams_total"], costs, coverage),
        **times("since", row["ledger_since_seconds"]),
        **times("until", row["ledger_until_seconds"]),
    }


def _meters_json(row: Row) -> Json:
    """Name the meters that its energy is of, with the share of its time on nodes that each has measured."""
    shares = {meter: row[f"{meter}_coverage_ratio"] for meter in sorted(METERS)}
    return {meter: share for meter, share in shares.items() if share is not None}


def _power_json(row: Row) -> Json | None:
    if row["node_watts"] is None and row["gpu_watts"] is None:
        return None
    coverage = row["watts_coverage_ratio"]
    return {
        "node": value(row["node_watts"], "watts", coverage, LEDGER),
        "gpu": value(row["gpu_watts"], "watts", coverage, LEDGER),
    }


def _gpu_coverage(row: Row) -> float | None:
    allocated = row["granted_gpus"] * (row["ledger_until_seconds"] - row["ledger_since_seconds"])
    return min(1.0, row["ledger_gpu_seconds"] / allocated) if allocated else None


def _costs_json(co2_grams: float | None, cost: Mapping[Price, float], coverage: float | None) -> Json:
    return {
        "co2": value(co2_grams, "grams", coverage, "energy × prices.pue × prices.grams_per_kwh"),
        "cost": [
            {"component": component, "currency": currency, "amount": amount}
            for (component, currency), amount in sorted(cost.items())
        ],
    }


def totals_json(row: Row, costs: Mapping[Price, float]) -> Json:
    """Show what the ledger has added up of a user or an account, a row of `user_energy` or `account_energy`."""
    return {
        "energy": value(row["energy_joules_total"], "joules", None, LEDGER),
        **_costs_json(row["co2_grams_total"], costs, None),
        **times("until", row["until_seconds"]),
    }


def cluster_energy_json(view: ClusterView) -> Json | None:
    """Show the power and energy of a cluster's measured nodes by component, and the factors that are used."""
    if view.prices is None:
        return None
    row = next(view.frames["cluster_energy"].iter_rows(named=True), {})
    return {
        "window_end_time": rfc3339(view.ledger_end),
        "power_watts": by_component(row, "watts"),
        "energy_joules": by_component(row, "joules"),
        "prices": prices_json(view.prices),
    }


def by_component(row: Row, unit: str) -> dict[str, float]:
    """Give the watts or joules of a row of `node_energy` or `cluster_energy` by component, as far as they are known."""
    amounts = {component: row.get(f"{component}_{unit}") for component in COMPONENTS}
    return {component: amount for component, amount in amounts.items() if amount is not None}


def prices_json(prices: Prices) -> Json:
    """Show the factors."""
    return {
        "model": prices.model,
        "pue": prices.pue,
        "grams_per_kwh": prices.grams_per_kwh,
        "zone": prices.zone or None,
        "currency": prices.currency or None,
        "per_kwh": prices.per_kwh,
        "cooling_share": prices.cooling_share,
        "cpu_hour": prices.cpu_hour,
        "gpu_hour": dict(prices.gpu_hour),
    }
