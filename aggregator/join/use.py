"""Which samples belong to which run?

Series carry a job id only, and a job id has several runs (requeues) and lives on. A sample belongs to the run that
holds the id at the evaluation time, started before the sample can have been taken, and has the sample's node in its
allocation.
"""

from collections.abc import Iterable, Mapping

from aggregator.model.accounting import Run
from aggregator.model.use import Gpu, NodeValues, Use
from aggregator.model.view import NO_USE, GpuUse, JobUse


def use_by_run(runs: Iterable[Run], use: Use) -> dict[int, JobUse]:
    """Join the runs that hold resources with their samples: run id → use.

    A run younger than one scrape interval is left out: the newest sample may be of the id's previous run. So is one
    that is younger than a value that is kept of an input that fails.
    """
    runs = tuple(runs)
    previous_end = _previous_ends(runs)
    return {
        run.run_id: _join(run, use, previous_end.get(run.job_id, 0.0))
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


def _join(run: Run, use: Use, previous_end: float) -> JobUse:
    rate_is_pure = use.since - use.cpu_window >= previous_end
    cpus = _of_run(run, use.cpus) if rate_is_pure else None
    seconds = _of_run(run, use.cpu_seconds)
    memory = _of_run(run, use.memory_bytes)
    peak = _of_run(run, use.memory_peak_bytes)
    cpu_coverage = None if cpus is None else _coverage(run, cpus)
    return JobUse(
        cpus=_total(cpus),
        # A cumulative counter that lacks a node would make the whole run look idle: all nodes or nothing.
        cpu_seconds=_total(seconds) if seconds and _coverage(run, seconds) == 1.0 else None,
        memory_bytes=_total(memory),
        memory_peak_bytes=_total(peak) if peak and _coverage(run, peak) == 1.0 else None,
        threads=_total(_of_run(run, use.threads)),
        cpu_coverage=cpu_coverage,
        memory_coverage=None if memory is None else _coverage(run, memory),
        gpu=gpu_use(run, use),
    )


def _of_run(run: Run, values: NodeValues | None) -> Mapping[str, float] | None:
    """Give the values of the run's own nodes; None when the input could not be read."""
    if values is None:
        return None
    found = values.get(run.job_id)
    if not found:
        return {}
    if not run.nodes:
        return found
    return {node: found[node] for node in run.nodes if node in found}


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
