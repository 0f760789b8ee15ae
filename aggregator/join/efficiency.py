"""How much of what a run holds does it use, and what is wasted?"""

from dataclasses import dataclass

from aggregator.model.accounting import Run
from aggregator.model.energy import RunLedger
from aggregator.model.view import Efficiency, GpuUse, JobUse

# Below this share of expected samples nothing is called wasted.
COVERAGE_FLOOR = 0.8
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
    run: Run,
    use: JobUse,
    fair_share: FairShare,
    at: float,
    *,
    seen: float | None = None,
    ledger: RunLedger | None = None,
) -> Efficiency:
    """Compute the ratios and wasted amounts of one run at time `at`; what is not known stays None.

    cpu = CPU seconds ÷ (elapsed × CPUs); memory = peak ÷ allocated; time_limit_used = elapsed ÷ limit.
    `seen` is the time of the use when that is older: what ran on unseen since then is neither used nor wasted.
    """
    held = run.allocated
    cpu_seconds = run.elapsed(at if seen is None else seen) * held.cpus
    return Efficiency(
        cpu=_ratio(use.cpu_seconds, cpu_seconds),
        memory=_ratio(use.memory_peak_bytes, held.memory_bytes),
        time_limit_used=_ratio(run.elapsed(at), run.time_limit_seconds) if run.start is not None else None,
        wasted_cpus=_unused(held.cpus, use.cpus, use.cpu_coverage),
        wasted_memory_bytes=_wasted_memory(run, use, fair_share),
        wasted_gpus=_wasted_gpus(use.gpu),
        wasted_cpu_seconds=None if use.cpu_seconds is None else max(0.0, cpu_seconds - use.cpu_seconds),
        wasted_gpu_seconds=_wasted_gpu_seconds(ledger),
    )


def _ratio(used: float | None, held: float | None) -> float | None:
    return used / held if used is not None and held else None


def _unused(held: float, used: float | None, coverage: float | None) -> float | None:
    """Give what is held and not used, on the nodes that were seen; None below the coverage floor."""
    if used is None or coverage is None or coverage < COVERAGE_FLOOR:
        return None
    return max(0.0, held * coverage - used)


def _wasted_memory(run: Run, use: JobUse, fair_share: FairShare) -> float | None:
    if use.memory_peak_bytes is None:
        return None
    wanted = max(use.memory_peak_bytes, fair_share.memory(run.allocated.cpus, run.allocated.gpu_count))
    return max(0.0, run.allocated.memory_bytes - wanted)


def _wasted_gpus(gpu: GpuUse | None) -> float | None:
    if gpu is None or gpu.used is None or gpu.coverage < COVERAGE_FLOOR:
        return None
    # A utilisation may read a little over 1.
    return max(0.0, gpu.judged - gpu.used)


def _wasted_gpu_seconds(ledger: RunLedger | None) -> float | None:
    if ledger is None or not ledger.gpu_seconds:
        return None
    return max(0.0, ledger.gpu_seconds - ledger.gpu_used_seconds)
