"""Do slurmacct and the exporters agree on who has GPUs?"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.model.job_inputs import Use
from aggregator.parts.jobs.time import HOLDS, elapsed

# After so many scrapes a series of the id's previous run, or of a GPU that has just been given away, is gone.
_SETTLE_INTERVALS: Final = 4


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


def compare_gpus(runs: pl.DataFrame, use: Use | None) -> Agreement:
    """Compare the GPUs that exporters show of running jobs (RUNS) on their own nodes with what these hold."""
    if use is None or use.gpus is None:
        return Agreement()
    is_settled = elapsed(pl.lit(use.time)) >= _SETTLE_INTERVALS * use.interval
    placed = runs.select("run_id", "job_id", "nodes", "granted_gpus", is_settled=HOLDS & is_settled)
    settled = placed.filter("is_settled")
    is_there = (pl.col("nodes").list.len() == 0) | pl.col("nodes").list.contains(pl.col("node"))
    there = settled.join(use.gpus.select("job_id", "node").unique(), on="job_id").filter(is_there)
    shown = there.unique("run_id")["granted_gpus"]
    return Agreement(len(shown), int((shown == 0).sum()), bool((runs["granted_gpus"] > 0).any()))
