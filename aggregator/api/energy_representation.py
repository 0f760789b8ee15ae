"""How power, energy, CO2 and cost look in JSON: pure functions."""

from collections.abc import Mapping

from aggregator.api.lustre_representation import job_lustre_json
from aggregator.api.representation import LEDGER, Json, job_json, times, value
from aggregator.join.energy import by_component
from aggregator.model.energy import MODELS, Price, Prices, RunLedger, Totals
from aggregator.model.moment import rfc3339
from aggregator.model.view import ClusterView, Job, JobEnergy


def joined_job_json(job: Job, view: ClusterView) -> Json:
    """Show one run with its use, its input and output, and its energy."""
    return {
        **job_json(job, view.time),
        "lustre": job_lustre_json(job.lustre),
        "energy": job_energy_json(job, view.prices),
    }


def job_energy_json(job: Job, prices: Prices | None) -> Json | None:
    """Show one run's power, its energy by every model, and what it costs; None while the ledger has not seen it."""
    totals, energy = job.ledger, job.energy
    if totals is None or prices is None:
        return None
    coverage = totals.power_coverage
    return {
        "model": prices.model,
        "energy": value(totals.joules(prices.model), "joules", coverage, LEDGER),
        "by_model": {model: value(totals.joules(model), "joules", coverage, LEDGER) for model in MODELS},
        "gpu_energy": value(totals.gpu_joules or None, "joules", None, LEDGER),
        "meters": _meters_json(totals),
        "power": _power_json(energy),
        "gpu_utilization": value(totals.gpu_utilization, "ratio", _gpu_coverage(job, totals), LEDGER),
        **_costs_json(totals.co2_grams, totals.cost, coverage),
        **times("since", totals.since),
        **times("until", totals.until),
    }


def _meters_json(totals: RunLedger) -> Json:
    """Name the meters that its energy is of, with the share of its time on nodes that each has measured."""
    seen = totals.until - totals.since
    return {meter: min(1.0, seconds / seen) for meter, seconds in sorted(totals.meters.items()) if seconds and seen > 0}


def _power_json(energy: JobEnergy | None) -> Json | None:
    if energy is None or energy.watts is None:
        return None
    coverage = energy.power_coverage
    return {
        "node": value(energy.node_watts, "watts", coverage, LEDGER),
        "gpu": value(energy.gpu_watts, "watts", coverage, LEDGER),
    }


def _gpu_coverage(job: Job, totals: RunLedger) -> float | None:
    held = job.run.allocated.gpu_count * (totals.until - totals.since)
    return min(1.0, totals.gpu_seconds / held) if held else None


def _costs_json(co2_grams: float | None, cost: Mapping[Price, float], coverage: float | None) -> Json:
    return {
        "co2": value(co2_grams, "grams", coverage, "energy × prices.pue × prices.grams_per_kwh"),
        "cost": [
            {"component": component, "currency": currency, "amount": amount}
            for (component, currency), amount in sorted(cost.items())
        ],
    }


def totals_json(totals: Totals) -> Json:
    """Show what the ledger has added up of a user or an account."""
    return {
        "energy": value(totals.joules, "joules", None, LEDGER),
        **_costs_json(totals.co2_grams, totals.cost, None),
        **times("until", totals.until),
    }


def cluster_energy_json(view: ClusterView) -> Json | None:
    """Show the power and energy of a cluster's measured nodes by component, and the factors that are used."""
    if view.prices is None:
        return None
    return {
        "window_end_time": rfc3339(view.ledger_end),
        "power_watts": by_component(node.watts or {} for node in view.nodes),
        "energy_joules": by_component(node.totals.joules for node in view.nodes),
        "prices": prices_json(view.prices),
    }


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
