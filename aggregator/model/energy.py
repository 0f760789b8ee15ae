"""What the ledger tells apart, and by which factors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The ways to share a node's host power between its jobs (docs/energy.md).
MODELS = ("allocation", "usage", "two_part")
# What measures a node's power, the better before the worse.
METERS = ("redfish", "rapl")
# Where the power of a node goes.
COMPONENTS = ("jobs", "idle", "unattributed")
COST_COMPONENTS = ("electricity", "cooling", "hardware")


@dataclass(frozen=True, slots=True)
class Prices:
    """The site's factors; None where not configured, for which nothing is computed.

    model is the one whose energy is shown. pue multiplies the energy of which CO2 and electricity are computed, never
    the energy that is shown. cooling_share is on top of the electricity (ratio), gpu_hour by Slurm's GPU type,
    "default" for the others; zone names where grams_per_kwh holds.
    """

    model: str = "two_part"
    pue: float = 1.0
    grams_per_kwh: float | None = None
    zone: str = ""
    currency: str = ""
    per_kwh: float | None = None
    cooling_share: float | None = None
    cpu_hour: float | None = None
    gpu_hour: Mapping[str, float] = field(default_factory=dict)
