"""What do energy and hardware cost, in grams of CO2 and in money?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.model.accounting import Run
from aggregator.model.energy import Price

JOULES_PER_KWH = 3.6e6
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Prices:
    """The site's factors; None where not configured, for which nothing is computed.

    pue multiplies the energy of which CO2 and electricity are computed, never the energy that is shown. cooling_share
    is on top of the electricity (ratio), gpu_hour by Slurm's GPU type, "default" for the others.
    """

    model: str = "two_part"
    pue: float = 1.0
    grams_per_kwh: float | None = None
    currency: str = ""
    per_kwh: float | None = None
    cooling_share: float | None = None
    cpu_hour: float | None = None
    gpu_hour: Mapping[str, float] = field(default_factory=dict)

    def co2_grams(self, joules: float) -> float | None:
        """Give kWh × PUE × grams per kWh."""
        return None if self.grams_per_kwh is None else joules / JOULES_PER_KWH * self.pue * self.grams_per_kwh

    def energy_cost(self, joules: float) -> dict[Price, float]:
        """Give electricity, kWh × PUE × tariff, and the share of it that cooling costs."""
        if self.per_kwh is None:
            return {}
        electricity = joules / JOULES_PER_KWH * self.pue * self.per_kwh
        cost = {("electricity", self.currency): electricity}
        if self.cooling_share is not None:
            cost["cooling", self.currency] = electricity * self.cooling_share
        return cost

    def hardware_cost(self, run: Run, seconds: float) -> dict[Price, float]:
        """Give the hours of what the run holds: of its GPUs, whose price is their node's, else of its CPUs."""
        held = run.allocated
        if held.gpu_count:
            prices = [self.gpu_hour.get(kind, self.gpu_hour.get("default")) for kind in held.gpus]
            if any(price is None for price in prices):
                return {}
            hourly = sum((price or 0.0) * count for price, count in zip(prices, held.gpus.values(), strict=True))
        elif self.cpu_hour is not None:
            hourly = self.cpu_hour * held.cpus
        else:
            return {}
        return {("hardware", self.currency): hourly * seconds / _HOUR}
