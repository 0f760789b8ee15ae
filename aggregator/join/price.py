"""What do energy and hardware cost, in grams of CO2 and in money?"""

from aggregator.model.energy import Price, Prices
from aggregator.model.tres import Allocation

JOULES_PER_KWH = 3.6e6
_HOUR = 3600.0


def co2_grams(prices: Prices, joules: float) -> float | None:
    """Give kWh × PUE × grams per kWh; None without a factor."""
    if prices.grams_per_kwh is None:
        return None
    return joules / JOULES_PER_KWH * prices.pue * prices.grams_per_kwh


def energy_cost(prices: Prices, joules: float) -> dict[Price, float]:
    """Give electricity, kWh × PUE × tariff, and the share of it that cooling costs; empty without a tariff."""
    if prices.per_kwh is None:
        return {}
    electricity = joules / JOULES_PER_KWH * prices.pue * prices.per_kwh
    cost = {("electricity", prices.currency): electricity}
    if prices.cooling_share is not None:
        cost["cooling", prices.currency] = electricity * prices.cooling_share
    return cost


def hardware_cost(prices: Prices, held: Allocation, seconds: float) -> dict[Price, float]:
    """Give the hours of what a run holds: of its GPUs, whose price is their node's, else of its CPUs."""
    if not held.gpu_count:
        hourly = None if prices.cpu_hour is None else prices.cpu_hour * held.cpus
    else:
        of_type = {kind: prices.gpu_hour.get(kind, prices.gpu_hour.get("default")) for kind in held.gpus}
        known = [price * held.gpus[kind] for kind, price in of_type.items() if price is not None]
        hourly = sum(known) if len(known) == len(of_type) else None
    return {} if hourly is None else {("hardware", prices.currency): hourly * seconds / _HOUR}
