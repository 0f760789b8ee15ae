"""Which samples belong to which run?

Series carry a job id only, and a job id has several runs (requeues) and lives on. A sample belongs to the run that
holds the id at the evaluation time, started before the sample can have been taken, and has the sample's node in its
allocation.
"""

from collections.abc import Iterable, Mapping

from aggregator.model.accounting import Run
from aggregator.model.use import Base, Gpu, NodeValues, Use
from aggregator.model.view import NO_USE, GpuUse, JobUse

_NO_BASES: Mapping[int, Base] = {}


def use_by_run(runs: Iterable[Run], use: Use, bases: Mapping[int, Base] = _NO_BASES) -> dict[int, JobUse]:
    """Join the runs that hold resources with their samples: run id → use.

    A run younger than one scrape interval is left out: the newest sample may be of the id's previous run. So is one
    that is younger than a value that is kept of an input that fails. `bases` are what the counters of runs that a
    resize has made showed when these began; without it nothing is known of them.
    """
    runs = tuple(runs)
    previous_end = _previous_ends(runs)
    return {
        run.run_id: _join(run, use, previous_end.get(run.job_id, 0.0), bases.get(run.run_id))
        for run in runs
        if run.holds_resources and run.start is not None and use.since - run.start >= use.interval
    }


def _previous_ends(runs: Iterable[Run]) -> dict[int, float]:
    """Find when each job id last ended: a slope whose window reaches back beyond it mixes two runs."""
    ends: dict[int, float] = {}
    for run in runs:
        if run.end is not None:
            ends[run.job_id] = max(run.end, ends.get(run.job_id, 0.0))
    return ends


def _join(run: Run, use: Use, previous_end: float, base: Base | None) -> JobUse:
    rate_is_pure = use.since - use.cpu_window >= max(previous_end, _unlike_before(run))
    cpus = _of_run(run, use.cpus, use) if rate_is_pure else None
    seconds = _of_run(run, use.cpu_seconds, use)
    memory = _of_run(run, use.memory_bytes, use)
    peak = _of_run(run, use.memory_peak_bytes, use)
    times = _times(run, use)
    observed = sum(map(run.elapsed, times.values())) / len(times) if times else None
    if run.job_start is not None:
        seconds, peak, observed = _since(base, run, seconds, peak, times)
    return JobUse(
        cpus=_total(cpus),
        # A cumulative counter that lacks a node would make the whole run look idle: all nodes or nothing.
        cpu_seconds=_total(seconds) if seconds and _coverage(run, seconds) == 1.0 else None,
        memory_bytes=_total(memory),
        memory_peak_bytes=_total(peak) if peak and _coverage(run, peak) == 1.0 else None,
        threads=_total(_of_run(run, use.threads, use)),
        observed_seconds=observed,
        cpu_coverage=None if cpus is None else _coverage(run, cpus),
        memory_coverage=None if memory is None else _coverage(run, memory),
        gpu=gpu_use(run, use),
    )


def _unlike_before(run: Run) -> float:
    """Give the time from which a slope is of this run alone: a resized job's counters go on through the resize."""
    return run.start or 0.0 if run.job_start is not None else 0.0


def _times(run: Run, use: Use) -> Mapping[str, float]:
    """Give the time of the newest sample of each node that has any; where it is not known, that of the fetch."""
    nodes = {**(_of_run(run, use.cpu_seconds, use) or {}), **(_of_run(run, use.memory_peak_bytes, use) or {})}
    times = (use.sampled_at or {}).get(run.job_id, {})
    return {node: times.get(node, use.time) for node in nodes}


_Since = tuple[Mapping[str, float] | None, Mapping[str, float] | None, float | None]


def _since(
    base: Base | None,
    run: Run,
    seconds: Mapping[str, float] | None,
    peak: Mapping[str, float] | None,
    times: Mapping[str, float],
) -> _Since:
    """Give what counters that are older than the run say of it: CPU seconds, peak, and the time that both tell of."""
    if base is None or not times or times.keys() - base.sampled_at.keys():
        return None, None, None
    own = {node: value - base.cpu_seconds[node] for node, value in (seconds or {}).items() if node in base.cpu_seconds}
    # A peak that has not grown since may have been before the run.
    new = {node: value for node, value in (peak or {}).items() if value > base.memory_peak_bytes.get(node, value)}
    observed = sum(run.elapsed(at) - run.elapsed(base.sampled_at[node]) for node, at in times.items()) / len(times)
    return own, new, observed


def _of_run(run: Run, values: NodeValues | None, use: Use) -> Mapping[str, float] | None:
    """Give the values of the run's own nodes and its own time; None when the input could not be read.

    Prometheus answers with a sample of up to five minutes ago: that may be of the id's previous run.
    """
    if values is None:
        return None
    found = values.get(run.job_id)
    if not found:
        return {}
    times = use.sampled_at.get(run.job_id, {}) if use.sampled_at is not None else {}
    begin = run.start or 0.0
    own = run.nodes or tuple(found)
    return {node: found[node] for node in own if node in found and times.get(node, begin) >= begin}


def _total(values: Mapping[str, float] | None) -> float | None:
    return sum(values.values()) if values else None


def _coverage(run: Run, values: Mapping[str, float]) -> float:
    expected = max(len(run.nodes), run.allocated.nodes, 1)
    return min(1.0, len(values) / expected)


def gpu_use(run: Run, use: Use) -> GpuUse | None:
    """Compare the GPUs that have series with those that the run holds.

    An allocated GPU without a series counts as idle only where the node's exporter is up and has shown GPUs; how many
    GPUs the run has on which node is not in slurmacct, so they are taken as spread evenly.
    """
    allocated = run.allocated.gpu_count
    if not allocated or use.gpus is None:
        return None
    own = [gpu for gpu in use.gpus.get(run.job_id, ()) if not run.nodes or gpu.node in run.nodes]
    visible = _visible_share(run, use, own)
    if visible == 0.0 and not own:
        return GpuUse(coverage=0.0)
    known = [gpu.utilization for gpu in own if gpu.utilization is not None]
    memory = [gpu.memory_bytes for gpu in own if gpu.memory_bytes is not None]
    idle = max(0.0, allocated * visible - len(own))
    shown = len(known) + idle
    # A leftover series may show a GPU that the run does not hold (any more): no more are judged than it holds.
    judged = min(shown, allocated)
    return GpuUse(
        coverage=judged / allocated,
        observed=len(own),
        busy=sum(1 for utilization in known if utilization > 0) if judged else None,
        judged=judged,
        utilization=sum(known) / shown if shown else None,
        memory_bytes=sum(memory) if memory else None,
    )


def _visible_share(run: Run, use: Use, own: list[Gpu]) -> float:
    """Give the share of the run's nodes whose exporter can be trusted to show its GPUs."""
    if use.healthy_nodes is None or not run.nodes:
        return 0.0
    seen = {gpu.node for gpu in own}
    return sum(1 for node in run.nodes if use.vouches_for_gpus(node) or node in seen) / len(run.nodes)


def carry_over(previous: Mapping[int, JobUse], runs: Iterable[Run], joined: Mapping[int, JobUse]) -> dict[int, JobUse]:
    """Keep the last use of runs that have ended, so that a scrape finds the last value; the rest is `joined`."""
    kept = {run.run_id: previous.get(run.run_id, NO_USE) for run in runs if not run.is_open}
    return {**kept, **joined}
