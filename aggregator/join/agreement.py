"""Do slurmacct and the exporters agree on who has GPUs?"""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.model.accounting import Run
from aggregator.model.use import Use

# After so many scrapes a series of the id's previous run, or of a GPU that has just been given away, is gone.
_SETTLE_INTERVALS = 4


@dataclass(frozen=True, slots=True)
class Agreement:
    """Runs of whose GPUs the exporters show any, those of them that hold none by slurmacct, and whether no run does."""

    shown: int = 0
    without: int = 0
    tracked: bool = True

    @property
    def agrees(self) -> bool | None:
        """Tell whether both say the same; None while there is nothing to compare."""
        return self.without == 0 if self.shown else None

    @property
    def warning(self) -> str:
        """Say what is wrong, "" for nothing."""
        if not self.without:
            return ""
        found = f"exporters show GPUs of {self.without} running jobs that hold none by slurmacct, so that nothing of "
        found += "these GPUs is known: "
        if self.tracked:
            return found + "not every job's gres/gpu is tracked, or jobs see GPUs that they do not hold"
        return found + "slurmdbd does not track gres/gpu (AccountingStorageTRES in slurm.conf)"


def compare_gpus(runs: Iterable[Run], use: Use | None) -> Agreement:
    """Compare the GPUs that exporters show of running jobs on their own nodes with what these hold."""
    if use is None or use.gpus is None:
        return Agreement()
    shown = without = 0
    tracked = False
    for run in runs:
        tracked = tracked or run.allocated.gpu_count > 0
        gpus = use.gpus.get(run.job_id)
        if not gpus or not run.holds_resources or run.elapsed(use.time) < _SETTLE_INTERVALS * use.interval:
            continue
        if any(not run.nodes or gpu.node in run.nodes for gpu in gpus):
            shown += 1
            without += run.allocated.gpu_count == 0
    return Agreement(shown, without, tracked)
