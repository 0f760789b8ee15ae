"""What rows of users and accounts come to together; of nothing known nothing is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

Row = Mapping[str, Any]
_AMOUNTS: Final = (
    "allocated_cpus", "used_cpus", "allocated_gpus", "used_gpus", "wasted_cpus", "wasted_gpus", "wasted_cpu_seconds",
    "wasted_gpu_seconds", "power_watts", "energy_joules_total", "co2_grams_total",
)  # fmt: skip


def sums_of(rows: Sequence[Row]) -> Mapping[str, Any]:
    """Add up amounts, jobs by state, and findings by reason and severity."""
    jobs: Counter[str] = Counter()
    waste: Counter[tuple[str, str]] = Counter()
    costs: Counter[str] = Counter()
    for row in rows:
        jobs.update({each["state"]: each["count"] for each in row["jobs"] or ()})
        waste.update({(each["reason"], each["severity"]): each["count"] for each in row["waste"] or ()})
        for each in row["costs"] or ():
            costs[each["currency"]] += each["amount"]
    return {
        **{name: _sum([row[name] for row in rows]) for name in _AMOUNTS},
        "jobs": jobs,
        "waste": [
            {"reason": reason, "severity": severity, "count": count}
            for (reason, severity), count in waste.most_common()
        ],
        "costs": [{"currency": currency, "amount": amount} for currency, amount in costs.items()],
    }


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
