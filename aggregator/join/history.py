"""What do many ended runs add up to?"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from aggregator.model.accounting import Run
from aggregator.model.history import Known, RunsSummary
from aggregator.model.view import Efficiency, JobUse

QUANTILES: Final = (0.5, 0.75, 0.9, 0.99)
# Slurm ends a job a little after its limit: what was cut off is between the last two edges.
TIME_LIMIT_EDGES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, math.inf)
_NOTHING: Final = Efficiency()
Kept = Mapping[int, tuple[JobUse, Efficiency]]


def summarize(runs: Sequence[Run], kept: Kept) -> RunsSummary:
    """Add up ended runs; `kept` is the use that was kept of some of them, by run id."""
    # A run that a resize has made did not wait.
    waits = sorted(
        run.start - run.eligible
        for run in runs
        if run.start is not None and run.eligible is not None and run.job_start is None
    )
    return RunsSummary(
        runs=len(runs),
        states=dict(Counter(run.state.name.lower() for run in runs)),
        started=len(waits),
        wait_seconds={quantile: max(0.0, _quantile(waits, quantile)) for quantile in QUANTILES} if waits else {},
        time_limit_used=_time_limit_used(runs),
        cpu_efficiency=_mean(runs, kept, _cpu_seconds, lambda efficiency: efficiency.cpu),
        memory_efficiency=_mean(runs, kept, _memory_seconds, lambda efficiency: efficiency.memory),
        wasted_cpu_seconds=_sum(runs, kept, _cpu_seconds, lambda efficiency: efficiency.wasted_cpu_seconds),
        wasted_gpu_seconds=_sum(runs, kept, _gpu_seconds, lambda efficiency: efficiency.wasted_gpu_seconds),
    )


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    """Give the nearest rank: a wait that somebody had."""
    return ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]


def _elapsed(run: Run) -> float:
    return run.elapsed(run.end) if run.end is not None else 0.0


def _time_limit_used(runs: Iterable[Run]) -> dict[float, int]:
    """Count runs by used ÷ limit, cumulatively; those that never started or have no limit are not counted."""
    ratios = sorted(
        run.limited_seconds(run.end) / run.time_limit_seconds
        for run in runs
        if run.start is not None and run.end is not None and run.time_limit_seconds
    )
    return {edge: bisect_right(ratios, edge) for edge in TIME_LIMIT_EDGES} if ratios else {}


def _cpu_seconds(run: Run) -> float:
    return _elapsed(run) * run.allocated.cpus


def _memory_seconds(run: Run) -> float:
    return _elapsed(run) * (run.allocated.memory_bytes or 0)


def _gpu_seconds(run: Run) -> float:
    return _elapsed(run) * run.allocated.gpu_count


Held = Callable[[Run], float]
Value = Callable[[Efficiency], float | None]


def _mean(runs: Iterable[Run], kept: Kept, held: Held, value: Value) -> Known | None:
    """Weigh a ratio by what was held; None where it is known of nothing."""
    known, weight, total = _weigh(runs, kept, held, value)
    return Known(sum(ratio * share for ratio, share in known) / weight, weight / total) if weight else None


def _sum(runs: Iterable[Run], kept: Kept, held: Held, value: Value) -> Known | None:
    """Add up what is known, with the share of what was held that it is known of."""
    known, weight, total = _weigh(runs, kept, held, value)
    return Known(sum(amount for amount, _ in known), weight / total) if weight else None


def _weigh(runs: Iterable[Run], kept: Kept, held: Held, value: Value) -> tuple[list[tuple[float, float]], float, float]:
    """Give the known values with what was held, the sum of that, and what all runs held."""
    total = 0.0
    known: list[tuple[float, float]] = []
    for run in runs:
        share = held(run)
        total += share
        efficiency = kept[run.run_id][1] if run.run_id in kept else _NOTHING
        number = value(efficiency)
        if number is not None:
            # Of a run that was seen for a part of its time only that part is known.
            known.append((number, share * (1.0 if efficiency.observed is None else efficiency.observed)))
    return known, sum(share for _, share in known), total
