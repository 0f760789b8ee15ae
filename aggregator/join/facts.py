"""What is known of one run, by the names of the fields that rules compare, and what is missing where it is not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aggregator.join.efficiency import FairShare
from aggregator.model.accounting import Run
from aggregator.model.energy import RunLedger
from aggregator.model.use import Use
from aggregator.model.view import Job
from aggregator.model.waste import Fact

_NO_PROMETHEUS = "Prometheus could not be read"
_NO_LEDGER = "nothing has been added up of its GPUs yet"
_SUSPENDED = "it has been suspended, which looks like idle GPUs"
_TOO_LITTLE = "too little of its time was seen"
_FAR_MORE = "it uses far more than it holds, so that Slurm cannot be managing that"
_NO_GPUS = "no exporter of the cluster shows any GPU"
_NO_MEMORY = "Slurm does not manage memory where it runs"
_NAMED_NODES = 3


@dataclass(frozen=True, slots=True)
class Observed:
    """What the runs of a cluster are judged against: the time, the normal share of a node, and the fetch of use."""

    at: float
    fair_share: FairShare
    use: Use | None


class Facts(dict[str, Fact]):
    """The facts of one run by field, each computed when it is first asked for."""

    def __init__(self, job: Job, observed: Observed) -> None:
        super().__init__()
        self._job = job
        self._observed = observed

    def __missing__(self, field: str) -> Fact:
        fact = self[field] = READERS[field](self._job, self._observed)
        return fact


def facts(job: Job, observed: Observed) -> Mapping[str, Fact]:
    """Compute every field of one run that has started."""
    known = Facts(job, observed)
    return {field: known[field] for field in READERS}


def _cumulative(value: float | None, job: Job, observed: Observed, input_name: str) -> Fact:
    """Give a value that the join knows only when every node of the run was seen."""
    return Fact(value) if value is not None else Fact(None, 0.0, _why_unknown(job, observed, input_name))


def _why_unknown(job: Job, observed: Observed, input_name: str) -> str:
    """Say why nothing is known of a run since it began."""
    is_memory = input_name == "memory_peak_bytes"
    if is_memory and job.run.allocated.memory_bytes is None:
        return _NO_MEMORY
    if (job.use.memory_peak_bytes if is_memory else job.use.cpu_seconds) is None:
        return _why_unseen(job.run, observed.use, input_name)
    return _FAR_MORE if job.efficiency.observed is not None else _TOO_LITTLE


def _cpus_used(job: Job, observed: Observed) -> Fact:
    ratio = _cumulative(job.efficiency.cpu, job, observed, "cpu_seconds")
    return ratio if ratio.value is None else Fact(ratio.value * job.run.allocated.cpus)


def _cpus_above_gpu_share(job: Job, observed: Observed) -> Fact:
    held = job.run.allocated
    return Fact(max(0.0, held.cpus - observed.fair_share.cpus(held.gpu_count)))


def _memory_above_fair_share(job: Job, observed: Observed) -> Fact:
    held = job.run.allocated
    if held.memory_bytes is None:
        return Fact(None, 0.0, _NO_MEMORY)
    return Fact(max(0.0, held.memory_bytes - observed.fair_share.memory(held.cpus, held.gpu_count)))


def _gpus_observed(job: Job, observed: Observed) -> Fact:
    gpu = job.use.gpu
    missing = _why_unseen(job.run, observed.use, "gpu_utilization")
    return Fact(None, 0.0, missing) if gpu is None else Fact(gpu.observed, gpu.coverage, missing)


def _since_start(value: float | None, job: Job, observed: Observed) -> Fact:
    """Give a sum or mean of the ledger: it covers what was observed of all GPU time that the run has held."""
    ledger, why = job.ledger, _blind(job.run, observed.use)
    if ledger is None or value is None or why:
        return Fact(None, 0.0, why or _NO_LEDGER)
    return Fact(value, *_covered(ledger, job.run.allocated.gpu_count * job.run.elapsed(observed.at)))


def _idle(seconds: float | None, busy: int, job: Job, observed: Observed) -> Fact:
    """Give how long fewer than `busy` GPUs have been busy, which needs sight of the GPUs until now."""
    ledger, now, why = job.ledger, job.use.gpu, _blind(job.run, observed.use)
    if ledger is None or seconds is None or why:
        return Fact(None, 0.0, why or _NO_LEDGER)
    if now is None:
        return Fact(None, 0.0, _why_unseen(job.run, observed.use, "gpu_utilization"))
    coverage, missing = _covered(ledger, job.run.allocated.gpu_count * (ledger.until - ledger.since))
    # Ten idle minutes before and after an hour in the dark are not twenty idle minutes.
    unseen = ledger.gpu_unseen_seconds if busy == 1 else ledger.gpu_partly_unseen_seconds
    seen = seconds / (seconds + unseen) if unseen else 1.0
    if seen < coverage:
        coverage, missing = seen, f"only {int(seen * 100)} % of the time since a GPU was busy was observed"
    if now.coverage < coverage:
        coverage, missing = now.coverage, _why_unseen(job.run, observed.use, "gpu_utilization")
    # The snapshot is newer than the ledger's last closed window.
    return Fact(0.0 if (now.busy or 0) >= busy else seconds, coverage, missing)


def _blind(run: Run, use: Use | None) -> str:
    """Say why idle GPUs would look like used ones or the other way round, "" when they do not."""
    if run.suspended_seconds:
        return _SUSPENDED
    # Exporters that cannot show GPUs (no NVML, no DCGM, another vendor) would make every GPU of the cluster look idle.
    return _NO_GPUS if use and use.gpus is not None and use.gpu_nodes is not None and not use.gpu_nodes else ""


def _covered(ledger: RunLedger, gpu_seconds: float) -> tuple[float, str]:
    """Give the observed share of some GPU time, and how to say that it is too little."""
    coverage = min(1.0, ledger.gpu_seconds / gpu_seconds) if gpu_seconds > 0 else 0.0
    return coverage, "" if coverage == 1.0 else f"only {int(coverage * 100)} % of the GPU time was observed"


def _why_unseen(run: Run, use: Use | None, input_name: str) -> str:
    """Say why a run lacks samples of an input."""
    if use is None:
        return _NO_PROMETHEUS
    if input_name in use.failed:
        return f"the input {input_name} could not be read"
    down = [] if use.healthy_nodes is None else [node for node in run.nodes if node not in use.healthy_nodes]
    if down:
        return _of_nodes(down, "is down", "are down")
    blind = [node for node in run.nodes if not use.vouches_for_gpus(node)]
    if input_name == "gpu_utilization" and blind and use.gpu_nodes is not None:
        return _of_nodes(blind, "has not shown any GPU lately", "have not shown any GPU lately")
    return f"not all of its nodes have samples of {input_name}"


def _of_nodes(nodes: Sequence[str], one: str, several: str) -> str:
    """Say something of the exporters of some nodes, of which the first few are named."""
    if len(nodes) == 1:
        return f"the exporter of {nodes[0]} {one}"
    more = f" and {len(nodes) - _NAMED_NODES} more" if len(nodes) > _NAMED_NODES else ""
    return f"the exporters of {', '.join(nodes[:_NAMED_NODES])}{more} {several}"


# One entry for each of model/waste.py: FIELDS.
READERS: Mapping[str, Callable[[Job, Observed], Fact]] = {
    "elapsed_seconds": lambda job, observed: Fact(job.run.elapsed(observed.at)),
    "nodes": lambda job, _: Fact(job.run.allocated.nodes),
    "cpus_allocated": lambda job, _: Fact(job.run.allocated.cpus),
    "cpus_used_mean": _cpus_used,
    "cpu_used_ratio": lambda job, observed: _cumulative(job.efficiency.cpu, job, observed, "cpu_seconds"),
    "cpu_wasted_seconds": lambda job, observed: _cumulative(
        job.efficiency.wasted_cpu_seconds, job, observed, "cpu_seconds"
    ),
    "cpus_above_gpu_share": _cpus_above_gpu_share,
    "memory_allocated_bytes": lambda job, _: (
        Fact(None, 0.0, _NO_MEMORY) if job.run.allocated.memory_bytes is None else Fact(job.run.allocated.memory_bytes)
    ),
    "memory_peak_ratio": lambda job, observed: _cumulative(job.efficiency.memory, job, observed, "memory_peak_bytes"),
    "memory_above_fair_share_bytes": _memory_above_fair_share,
    "memory_wasted_bytes": lambda job, observed: _cumulative(
        job.efficiency.wasted_memory_bytes, job, observed, "memory_peak_bytes"
    ),
    "gpus_allocated": lambda job, _: Fact(job.run.allocated.gpu_count),
    "gpus_observed": _gpus_observed,
    "gpu_utilization_ratio": lambda job, observed: _since_start(
        job.ledger.gpu_utilization if job.ledger else None, job, observed
    ),
    "gpu_idle_seconds": lambda job, observed: _idle(
        job.ledger.gpu_idle_seconds if job.ledger else None, 1, job, observed
    ),
    "gpu_partly_idle_seconds": lambda job, observed: _idle(
        job.ledger.gpu_partly_idle_seconds if job.ledger else None, job.run.allocated.gpu_count, job, observed
    ),
    "gpu_wasted_seconds": lambda job, observed: _since_start(job.efficiency.wasted_gpu_seconds, job, observed),
}
