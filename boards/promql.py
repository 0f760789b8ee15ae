"""Words of which the boards' expressions are made: each series once, however many replicas of the service show it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

RECORDING: Final = Path(__file__).parents[1] / "rules" / "recording" / "hpc.yml"
_GROUPS: Final = yaml.safe_load(RECORDING.read_text(encoding="utf-8"))["groups"]
_RECORDED: Final = {rule["record"] for group in _GROUPS for rule in group["rules"]}
CLUSTERS: Final = 'cluster=~"$cluster"'
# The names of the others in a family beyond limits.series.
NAMED: Final = {name: f'{name}!="_other"' for name in ("slurmjobid", "user", "account", "node", "group")}
_REPLICAS: Final = "without (instance, pod)"


def now(gauge: str, *matchers: str, **equal: str) -> str:
    """Select `hpc_<gauge>` once: as recorded in rules/recording/hpc.yml, else the largest of the replicas'."""
    selected = _selector(matchers, equal)
    if f"hpc:{gauge}" in _RECORDED:
        return f"hpc:{gauge}{selected}"
    return f"max {_REPLICAS} (hpc_{gauge}{selected})"


def added(counter: str, *matchers: str, **equal: str) -> str:
    """Give what `hpc_<counter>` has grown by in the time shown."""
    return f"max {_REPLICAS} (increase(hpc_{counter}{_selector(matchers, equal)}[$__range]))"


def wasted_hours(of: str, resource: str, *matchers: str) -> str:
    """Give the hours of CPUs or GPUs that somebody has wasted in the time shown."""
    return f"{added(f'{of}_wasted_{resource}_seconds_total', *matchers)} / 3600"


def hours(amount: str) -> str:
    """Add up an amount over the time shown, in hours of one; time in which it is not known adds nothing."""
    return f"sum_over_time(({amount})[$__range:$__interval]) * $__interval_ms / 3.6e6"


def total(expression: str, *labels: str) -> str:
    """Add up, by labels where there are any."""
    return f"sum by ({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"


def with_words(findings: str, *matchers: str) -> str:
    """Put what the rules of waste tell people beside findings, a series for each reason and severity."""
    words = f"topk by (reason) (1, {now('waste_rule_info', *matchers)})"
    return f"{findings} * on (reason) group_left (message, fix) {words}"


def known_zero(amount: str, of: str) -> str:
    """Give an amount; 0 where it has no series while `of` has some."""
    return f"{amount} or 0 * {of}"


def number(condition: str, of: str) -> str:
    """Count the series of a condition; 0 while there are series of `of` and none meets it, else nothing."""
    return known_zero(f"count({condition})", f"count({of})")


def largest(count: int, expression: str, *labels: str) -> str:
    """Add up by labels, and keep the largest sums above 0."""
    return f"topk({count}, {total(expression, *labels)} > 0)"


def _selector(matchers: Sequence[str], equal: Mapping[str, str]) -> str:
    same = (f'{label}="{value}"' for label, value in equal.items())
    return f"{{{','.join((*matchers, *same))}}}"
