"""How much of what a run holds does it use, and what is wasted?"""

from dataclasses import dataclass

from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import RunLedger
from aggregator.model.view import Efficiency, GpuUse, JobUse

# Below this share of expected samples nothing is called wasted.
COVERAGE_FLOOR = 0.8
# Of a run of which less was seen until its newest sample, nothing is said about the whole.
OBSERVED_FLOOR = 0.5
# A run that uses more than this many times what it holds is not kept to it: Slurm does not manage that resource there.
MOST_OF_HELD = 10.0
# What is held up to this much above the fair share is not worth anybody's time.
FAIR_SHARE_MARGIN = 1.1


@dataclass(frozen=True, slots=True)
class FairShare:
    """A node's normal memory per CPU and per GPU in bytes, and its CPUs per GPU: within it, nobody else loses."""

    memory_per_cpu: int = 4 * 2**30
    memory_per_gpu: int = 128 * 2**30
    cpus_per_gpu: int = 12

    def memory(self, cpus: int, gpus: int) -> float:
        """Give the memory in bytes that a run with these CPUs and GPUs may hold without asking for too much."""
        normal = gpus * self.memory_per_gpu if gpus else cpus * self.memory_per_cpu
        return normal * FAIR_SHARE_MARGIN

    def cpus(self, gpus: int) -> float:
        """Give the CPUs that a run with these GPUs may hold, busy or not; none without GPUs."""
        return gpus * self.cpus_per_gpu * FAIR_SHARE_MARGIN


def efficiency(
    run: Run, use: JobUse, fair_share: FairShare, at: float, *, ledger: RunLedger | None = None
) -> Efficiency:
    """Compute the ratios and wasted amounts of one run at time `at`; what is not known stays None.

    cpu = CPU seconds ÷ (time until the newest sample × CPUs); memory = peak ÷ allocated; time_limit_used = elapsed ÷
    limit. What ran on unseen since the newest sample is neither used nor wasted; a run of which less than
    OBSERVED_FLOOR was seen has no such numbers.
    """
    held, now = run.allocated, run.held
    elapsed = run.elapsed(at)
    seen = elapsed if use.observed_seconds is None else min(use.observed_seconds, elapsed)
    known = seen > 0 and seen >= OBSERVED_FLOOR * elapsed
    cpu_seconds = use.cpu_seconds if known else None
    peak = use.memory_peak_bytes if known else None
    return Efficiency(
        cpu=ratio(cpu_seconds, seen * held.cpus),
        memory=ratio(peak, held.memory_bytes),
        time_limit_used=_limit_used(run, at),
        wasted_cpus=_unused(now.cpus, use.cpus, use.cpu_coverage) if held.cpus else None,
        wasted_memory_bytes=_wasted_memory(run, peak, fair_share),
        wasted_gpus=_wasted_gpus(run, use.gpu),
        wasted_cpu_seconds=max(0.0, seen * held.cpus - cpu_seconds) if cpu_seconds is not None and held.cpus else None,
        wasted_gpu_seconds=_wasted_gpu_seconds(ledger),
        observed=seen / elapsed if known else None,
    )


def ratio(used: float | None, held: float | None) -> float | None:
    """Give used ÷ held; None of nothing held, and where so much more is used that Slurm cannot be managing it."""
    if used is None or not held or used > MOST_OF_HELD * held:
        return None
    return used / held


def _limit_used(run: Run, at: float) -> float | None:
    if run.start is None or not run.time_limit_seconds:
        return None
    return run.limited_seconds(at) / run.time_limit_seconds


def _unused(held: float, used: float | None, coverage: float | None) -> float | None:
    """Give what is held and not used, on the nodes that were seen; None below the coverage floor."""
    if used is None or coverage is None or coverage < COVERAGE_FLOOR:
        return None
    return max(0.0, held * coverage - used)


def _wasted_memory(run: Run, peak: float | None, fair_share: FairShare) -> float | None:
    if peak is None or run.allocated.memory_bytes is None:
        return None
    wanted = max(peak, fair_share.memory(run.allocated.cpus, run.allocated.gpu_count))
    return max(0.0, run.allocated.memory_bytes - wanted)


def _wasted_gpus(run: Run, gpu: GpuUse | None) -> float | None:
    """Give the GPUs that the run could have used; while it is suspended it could not."""
    if run.state is JobState.SUSPENDED or gpu is None or gpu.used is None or gpu.coverage < COVERAGE_FLOOR:
        return None
    # A utilisation may read a little over 1.
    return max(0.0, gpu.judged - gpu.used)


def _wasted_gpu_seconds(ledger: RunLedger | None) -> float | None:
    if ledger is None or not ledger.gpu_seconds:
        return None
    return max(0.0, ledger.gpu_seconds - ledger.gpu_used_seconds)
