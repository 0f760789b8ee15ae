"""What a run did, step by step, as slurmdbd keeps it."""

from dataclasses import dataclass

from aggregator.model.accounting import JobState


@dataclass(frozen=True, slots=True)
class Exit:
    """How something ended: its exit status, and the signal that ended it (0: none)."""

    status: int
    signal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; id is as sacct writes it after the job's: `batch`, `extern`, `interactive`, `0`, `0+1`.

    What a step used is written when it completes, and never of one whose slurmstepd died: None where nothing is known.
    memory_bytes is the sum over tasks of their peaks (TRESUsageInTot), memory_task_bytes that of the largest (MaxRSS).
    gpu_utilization is the mean ratio over tasks, gpu_memory_bytes the sum.
    """

    id: str
    name: str
    state: JobState | None
    start: float | None = None
    end: float | None = None
    tasks: int = 0
    nodes: int = 0
    exit: Exit | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    memory_task_bytes: int | None = None
    gpu_utilization: float | None = None
    gpu_memory_bytes: int | None = None
    energy_joules: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What slurmdbd has recorded of one run: its steps, exit code, who cancelled it (a uid), and tres_alloc's energy.

    cut says that there are more steps than are listed.
    """

    steps: tuple[Step, ...]
    exit: Exit | None = None
    cancelled_by: int | None = None
    energy_joules: int | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class RecordedUse:
    """What the steps of a run add up to; None where it is not known. energy_source says where the energy is from."""

    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    energy_joules: int | None = None
    energy_source: str = ""


@dataclass(frozen=True, slots=True)
class StepEfficiency:
    """Used ÷ allocated over the whole run as its steps tell it (ratios); None where it is not known."""

    cpu: float | None = None
    memory: float | None = None
