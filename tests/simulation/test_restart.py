"""A service that is killed and started again while it catches up comes to the totals of one that was not."""

import threading
import time

import pytest

from tests.identities import problems, steps_back
from tests.lab.process import wait_until
from tests.scenarios.proxy import UNAVAILABLE
from tests.simulation.said import Said, joules_of, listen
from tests.simulation.site import Catching, Simulation

# All of the simulation in one worker: it is made once.
pytestmark = [pytest.mark.xdist_group("simulation"), pytest.mark.timeout(900)]

_TOTALS = (
    "hpc_node_energy_joules_total", "hpc_cluster_energy_joules_total", "hpc_user_energy_joules_total",
    "hpc_account_energy_joules_total", "hpc_user_co2_grams_total", "hpc_user_cost_total", "hpc_job_energy_joules_total",
    "hpc_job_gpu_efficiency_ratio", "hpc_user_wasted_cpu_seconds_total", "hpc_account_wasted_gpu_seconds_total",
    "hpc_user_wasted_energy_joules_total", "hpc_cluster_wasted_cost_total",
)  # fmt: skip


class _Hold:
    """Let some range queries pass and hold the next one, while the service is in the middle of its work."""

    def __init__(self, catching: Catching, passing: int) -> None:
        self.reached, self._released = threading.Event(), threading.Event()
        self._left = passing
        catching.proxy.fault = self._count

    def _count(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes] | None:
        if not path.endswith("/query_range") or self._released.is_set():
            return None
        self._left -= 1
        if self._left >= 0:
            return None
        self.reached.set()
        self._released.wait(60)
        return UNAVAILABLE

    def release(self) -> None:
        self._released.set()


def interrupt(catching: Catching, passing: int, *, kill: bool) -> float:
    """End the service in the middle of a batch of windows; give how far it had come."""
    hold = _Hold(catching, passing)
    assert hold.reached.wait(60), "the service asks for no windows"
    before = catching.ledger_end()
    if kill:
        catching.service.kill()
    hold.release()
    if not kill:
        catching.service.stop()
    catching.proxy.fault = None
    return before


def same_window(simulation: Simulation, *services: Catching) -> tuple[Said, ...]:
    """Give what the services say of one window: it may close for one of them while another one is listened to."""
    said: list[tuple[Said, ...]] = []

    def agree() -> bool:
        said.append(tuple(listen(simulation, service) for service in services))
        return len({one.end for one in said[-1]}) == 1

    wait_until(agree, 600, "the same window of all")
    return said[-1]


@pytest.fixture(scope="module")
def interrupted(simulation: Simulation, caught_up: Catching) -> tuple[Said, ...]:
    """Give what two services say of the same window: one was never interrupted, the other was several times."""
    with simulation.serve("interrupted") as other:
        reached = []
        # The first batch has as many queries as there are inputs: these are in the second one.
        for kill in (True, False, True):
            reached.append(interrupt(other, 25, kill=kill))
            other.service.start()
        assert reached[-1] < time.time() - 3600, "it was interrupted in the middle, not at the end"
        other.catch_up()
        return same_window(simulation, caught_up, other)


@pytest.mark.parametrize("family", _TOTALS)
def test_it_comes_to_the_same_totals(interrupted: tuple[Said, ...], family: str) -> None:
    ours, theirs = (
        {tuple(sorted(labels.items())): value for labels, value in said.page.samples(family)} for said in interrupted
    )
    # Jobs that have ended leave the page one after the other.
    both = ours.keys() & theirs.keys()
    assert len(both) > 0.9 * max(len(ours), len(theirs))
    assert {key: theirs[key] for key in both} == pytest.approx({key: ours[key] for key in both}, rel=1e-9)


def test_it_comes_to_the_same_energy_of_every_job(interrupted: tuple[Said, ...]) -> None:
    ours, theirs = ({number: joules_of(run) for number, run in said.runs.items()} for said in interrupted)
    assert {number for number in ours if ours[number] is None} == {n for n in theirs if theirs[n] is None}
    known = {number: joules for number, joules in ours.items() if joules is not None}
    assert {number: theirs[number] for number in known} == pytest.approx(known, rel=1e-9)


def test_it_comes_to_the_same_findings(interrupted: tuple[Said, ...]) -> None:
    ours, theirs = (
        {tuple(sorted(labels.items())) for labels, _ in said.page.samples("hpc_job_waste")} for said in interrupted
    )
    assert ours == theirs


def test_no_counter_goes_back_meanwhile(said: Said, interrupted: tuple[Said, ...]) -> None:
    later = interrupted[0]
    assert later.end >= said.end
    assert steps_back(said.page, later.page) == []
    assert problems(later.page) == []
