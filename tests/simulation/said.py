"""All that a service says at one moment of a simulation, and what the oracle says of the same."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.identities import Page
from tests.simulation.oracle import Energies, JobEnergy, energies
from tests.simulation.site import FIRST, RUN_IDS, Catching, Simulation
from tests.simulation.world import Finding, Job

_Json = dict[str, Any]
_ATTEMPTS = 10


@dataclass(repr=False)
class Said:
    """The page and the runs of the API by the jobs' numbers, both of the ledger's window that ended at *end*."""

    simulation: Simulation
    page: Page
    runs: dict[int, _Json]
    end: float

    @cached_property
    def oracle(self) -> Energies:
        zero = self.simulation.zero
        return energies(self.simulation.world, FIRST, self.end - zero, zero)

    @property
    def until(self) -> float:
        """Give the ledger's end in the world's time."""
        return self.end - self.simulation.zero

    def jobs(self) -> Iterator[tuple[Job, _Json, JobEnergy]]:
        """List all jobs that had started, with what is said of them and what is so."""
        for job in self.simulation.world.jobs:
            if job.start < self.until:
                yield job, self.runs[job.number], self.oracle.jobs[job.number]

    def running(self) -> Iterator[tuple[Job, _Json]]:
        for job in self.simulation.world.jobs:
            if job.is_open:
                yield job, self.runs[job.number]

    def node_joules(self) -> dict[str, dict[str, float]]:
        """Give each node's energy by component."""
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for labels, value in self.page.samples("hpc_node_energy_joules_total"):
            found[labels["node"]][labels["component"]] = value
        return found

    def sum_of(self, family: str, **labels: str) -> float:
        return sum(value for _, value in self.page.samples(family, **labels))


def joules_of(run: _Json) -> float | None:
    """Give the energy of a run of the API, None where nothing of it was measured."""
    joules: float | None = run["energy_joules_total"]
    return joules


def coverage_of(run: _Json) -> float:
    return run["coverage"]["power"] or 0.0


def findings_of(run: _Json) -> set[Finding]:
    """Give what was found of a run; of one that slurmacct alone knows nothing is said."""
    return {(finding["reason"], finding["severity"]) for finding in run.get("waste", ())}


def listen(simulation: Simulation, catching: Catching) -> Said:
    """Ask for everything at a moment at which no window closes."""
    for _ in range(_ATTEMPTS):
        before = catching.ledger_end()
        page = Page.asked(catching.service)
        # Of what has ended lately, which is in both lists, the snapshot's is the newer.
        runs = [*_listed(simulation, catching, "/history?start=now-1d&"), *_listed(simulation, catching, "?")]
        if catching.ledger_end() == before:
            return Said(simulation, page, {int(run["run_id"]) - RUN_IDS: run for run in runs}, before)
    raise AssertionError("windows close faster than lists can be read")


def _listed(simulation: Simulation, catching: Catching, which: str) -> Iterator[_Json]:
    cursor = ""
    while True:
        path = f"/api/v1/clusters/{simulation.site.cluster}/jobs{which}limit=1000{cursor}"
        data = catching.service.data(path)
        yield from data["jobs"]
        if not data["next_cursor"]:
            return
        cursor = f"&cursor={data['next_cursor']}"
