"""What a run has cost so far, and how much of that was for what it held and did not use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_HARDWARE: Final = "hardware"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Energy (joules), CO2 (grams) and money of a run; None where that is not known. currency is "" without prices."""

    joules: float | None = None
    grams: float | None = None
    money: float | None = None
    currency: str = ""


def spent(run: Row) -> Amounts:
    """Give what the whole run has taken."""
    costs = run["costs"]
    return Amounts(
        joules=run["energy_joules_total"], grams=run["co2_grams_total"],
        money=sum(each["amount"] for each in costs) if costs else None,
        currency=costs[0]["currency"] if costs else "",
    )  # fmt: skip


def wasted(run: Row) -> Amounts:
    """Give the part of it that was for what was held and not used, in proportion: of the GPUs' energy that of idle
    GPU time, of the rest that of idle CPU time, and of the hardware that of what it is priced by."""
    whole, joules = spent(run), _wasted_joules(run)
    share = joules / whole.joules if joules is not None and whole.joules else None
    return Amounts(
        joules=joules,
        grams=None if share is None or whole.grams is None else whole.grams * share,
        money=_wasted_money(run, share),
        currency=whole.currency,
    )


def _wasted_joules(run: Row) -> float | None:
    joules, of_gpus = run["energy_joules_total"], run["gpu_energy_joules"] or 0.0
    cpu, gpu = run["cpu_efficiency_ratio"], run["gpu_efficiency_ratio"]
    if joules is None or cpu is None or (of_gpus and gpu is None):
        return None
    idle: float = max(0.0, joules - of_gpus) * _idle(cpu) + (of_gpus * _idle(gpu) if of_gpus else 0.0)
    return idle


def _wasted_money(run: Row, share: float | None) -> float | None:
    if not run["costs"] or share is None:
        return None
    efficiency = run["gpu_efficiency_ratio"] if run["granted_gpus"] else run["cpu_efficiency_ratio"]
    if efficiency is None:
        return None
    idle: float = sum(
        each["amount"] * (_idle(efficiency) if each["component"] == _HARDWARE else share) for each in run["costs"]
    )
    return idle


def _idle(ratio: float) -> float:
    return min(1.0, max(0.0, 1 - ratio))
