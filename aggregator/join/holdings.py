"""What do open runs hold, in the words of Slurm's limits?"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from aggregator.model.accounting import Run
from aggregator.model.association import (
    LICENSE,
    QUANTITIES,
    RUNNING_JOBS,
    RUNNING_TRES,
    RUNNING_TRES_SECONDS,
    SUBMITTED_JOBS,
)
from aggregator.model.usage import is_held


@dataclass(slots=True)
class Holdings:
    """What some open runs hold together.

    nodes is None when the nodes of a run are not known: slurmctld counts a node that two jobs share once. tres_seconds
    (TRES × remaining time limit) is None when a run has no time limit. billed is False when the billing of a run is
    not known.
    """

    jobs: int = 0
    submitted: int = 0
    tres: Counter[str] = field(default_factory=Counter)
    tres_seconds: Counter[str] | None = field(default_factory=Counter)
    nodes: set[str] | None = field(default_factory=set)
    billed: bool = True

    def add_run(self, run: Run, at: float) -> None:
        """Count one open run as of time `at`; the tasks of an array that is not split count each."""
        self.submitted += run.pending_tasks or 1
        if not run.holds_resources:
            return
        self.jobs += 1
        self.billed &= run.allocated.billing is not None
        self._add_nodes(set(run.nodes) or None)
        if run.time_limit_seconds is None:
            self.tres_seconds = None
        # Whole seconds, which add up to the same in any order.
        remaining = round(max(0.0, (run.time_limit_seconds or 0.0) - run.limited_seconds(at)))
        for tres, count in _held(run):
            self.tres[tres] += count
            if self.tres_seconds is not None:
                self.tres_seconds[tres] += count * remaining

    def add(self, other: "Holdings") -> None:
        """Count other runs too."""
        self.jobs += other.jobs
        self.submitted += other.submitted
        self.billed &= other.billed
        self.tres.update(other.tres)
        if self.tres_seconds is not None and other.tres_seconds is not None:
            self.tres_seconds.update(other.tres_seconds)
        else:
            self.tres_seconds = None
        self._add_nodes(other.nodes)

    def _add_nodes(self, nodes: set[str] | None) -> None:
        if self.nodes is None or nodes is None:
            self.nodes = None
        else:
            self.nodes |= nodes

    def used(self, limit: str, tres: str) -> float | None:
        """Give what is used of a limit; None for what is not known, and for a limit that holdings say nothing of."""
        quantity = QUANTITIES.get(limit)
        if quantity in (RUNNING_JOBS, SUBMITTED_JOBS):
            return float(self.jobs if quantity == RUNNING_JOBS else self.submitted)
        if quantity is None or not is_held(tres) or (tres == "billing" and not self.billed):
            return None
        if quantity == RUNNING_TRES and tres == "node":
            return None if self.nodes is None else float(len(self.nodes))
        counts = self.tres_seconds if quantity == RUNNING_TRES_SECONDS else self.tres
        return None if counts is None else float(counts[tres])


def hold(runs: Iterable[Run], at: float) -> Holdings:
    """Add up open runs."""
    holdings = Holdings()
    for run in runs:
        holdings.add_run(run, at)
    return holdings


def _held(run: Run) -> Iterator[tuple[str, int]]:
    held = run.allocated
    yield from (
        ("cpu", held.cpus),
        ("mem", held.memory_bytes or 0),
        ("node", held.nodes),
        ("billing", held.billing or 0),
    )
    yield from ((f"{LICENSE}{name}", count) for name, count in held.licenses.items())
    if held.gpus:
        yield "gres/gpu", held.gpu_count
        yield from ((f"gres/gpu:{gpu_type}", count) for gpu_type, count in held.gpus.items() if gpu_type)
