"""Energy over hours: every joule that was measured is somebody's, once, and nobody's is made up."""

import math
from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation.oracle import JobEnergy, has_all_inputs, idle_cpu_seconds, unseen_seconds
from tests.simulation.said import Said, coverage_of, joules_of
from tests.simulation.site import FIRST
from tests.simulation.world import MINUTE, Job, Node

# All of the simulation in one worker: it is made once.
pytestmark = [pytest.mark.xdist_group("simulation"), pytest.mark.timeout(900)]

# Powers are read twice a minute, so that a change is up to half a minute late.
LONG = 30 * MINUTE


def seen_all_the_time(said: Said, job: Job) -> bool:
    return not any(unseen_seconds(said.simulation.world, job, said.until))


def length(said: Said, job: Job) -> float:
    return min(job.end, said.until) - job.start


def differing(said: Said, holds: Callable[[Job, float, JobEnergy], bool]) -> dict[str, str]:
    """Give the jobs with energy that a rule does not hold for: kind → what is said ÷ what is so."""
    return {
        f"{job.job_id} {job.kind}": f"{got:.0f} J of {so.joules['two_part']:.0f}, coverage {coverage_of(run):.3f}"
        for job, run, so in said.jobs()
        if (got := joules_of(run)) is not None and not holds(job, got, so)
    }


def test_there_are_enough_jobs(said: Said) -> None:
    assert len(list(said.jobs())) >= 300
    assert len({job.kind for job in said.simulation.world.jobs}) >= 60


def test_each_node_has_the_energy_that_it_drew(said: Said) -> None:
    nodes = said.node_joules()
    found = {name: sum(parts.values()) for name, parts in nodes.items()}
    wrong = {
        name: (found.get(name), joules)
        for name, joules in said.oracle.nodes.items()
        if found.get(name, 0.0) != pytest.approx(joules, rel=0.01)
    }
    assert wrong == {}


def test_a_node_without_a_meter_has_no_energy(said: Said) -> None:
    unmetered = {node.name for node in said.simulation.world.nodes.values() if node.meter == "none"}
    assert unmetered
    assert unmetered.isdisjoint(said.node_joules())
    of_them = [run for job, run, _ in said.jobs() if unmetered.intersection(job.nodes)]
    assert [joules_of(run) for run in of_them] == [None] * len(of_them)


def test_jobs_idle_and_unattributed_are_the_whole(said: Said) -> None:
    nodes = said.node_joules()
    for component in ("jobs", "idle", "unattributed"):
        parts = [node[component] for node in nodes.values()]
        assert min(parts) >= 0
        assert said.sum_of("hpc_cluster_energy_joules_total", component=component) == pytest.approx(
            sum(parts), rel=1e-9
        )


def test_users_accounts_and_jobs_have_the_jobs_part_of_the_nodes(said: Said) -> None:
    jobs_part = said.sum_of("hpc_cluster_energy_joules_total", component="jobs")
    assert said.sum_of("hpc_user_energy_joules_total") == pytest.approx(jobs_part, rel=1e-6)
    assert said.sum_of("hpc_account_energy_joules_total") == pytest.approx(jobs_part, rel=1e-6)
    of_jobs = sum(joules_of(run) or 0.0 for run in said.runs.values())
    assert of_jobs == pytest.approx(jobs_part, rel=1e-6)


def test_each_user_has_what_the_user_s_jobs_have(said: Said) -> None:
    for labels, joules in said.page.samples("hpc_user_energy_joules_total"):
        own = [joules_of(run) for run in said.runs.values() if run["user"] == labels["user"]]
        assert sum(each or 0.0 for each in own) == pytest.approx(joules, rel=1e-6), labels


def test_co2_and_cost_follow_the_energy(said: Said) -> None:
    for labels, joules in said.page.samples("hpc_user_energy_joules_total"):
        kwh = joules / 3.6e6 * 1.2
        who = {"user": labels["user"]}
        assert said.sum_of("hpc_user_co2_grams_total", **who) == pytest.approx(kwh * 30, rel=1e-6)
        electricity = said.sum_of("hpc_user_cost_total", component="electricity", **who)
        assert electricity == pytest.approx(kwh * 0.05, rel=1e-6)


def test_each_user_has_wasted_the_gpu_time_that_the_user_s_jobs_have(said: Said) -> None:
    wasted = said.page.sums("hpc_user_wasted_gpu_seconds_total", ("user",))
    assert sum(wasted.values()) > 0
    for (user,), seconds in wasted.items():
        own = [run["wasted_gpu_seconds"] or 0.0 for run in said.runs.values() if run["user"] == user]
        assert sum(own) == pytest.approx(seconds, rel=1e-6), user


def test_no_user_has_wasted_more_cpu_time_than_was_idle_and_no_less_than_was_seen(said: Said) -> None:
    idle, seen = Counter[str](), Counter[str]()
    for job, run, _ in said.jobs():
        seconds = idle_cpu_seconds(said.simulation.world, job, FIRST, said.until)
        idle[run["user"]] += seconds
        if length(said, job) >= LONG and seen_all_the_time(said, job):
            seen[run["user"]] += seconds
    wasted = said.page.sums("hpc_user_wasted_cpu_seconds_total", ("user",))
    assert {user for (user,), seconds in wasted.items() if seconds > 1.03 * idle[user]} == set()
    assert {user for user, seconds in seen.items() if wasted.get((user,), 0.0) < 0.9 * seconds} == set()


def test_a_job_that_was_seen_all_the_time_has_what_the_model_gives(said: Said) -> None:
    """Also where the BMC was away for a while: in the time that is covered."""

    def holds(job: Job, got: float, so: JobEnergy) -> bool:
        if length(said, job) < LONG or not seen_all_the_time(said, job):
            return True
        if not has_all_inputs(said.simulation.world, job):
            return True
        return got == pytest.approx(so.joules["two_part"], rel=0.03)

    assert differing(said, holds) == {}


def test_nobody_has_more_than_the_model_gives(said: Said) -> None:
    def holds(job: Job, got: float, so: JobEnergy) -> bool:
        if length(said, job) < LONG / 3 or not has_all_inputs(said.simulation.world, job):
            return True
        return got <= (1.03 if length(said, job) >= LONG else 1.1) * so.joules["two_part"]

    assert differing(said, holds) == {}


def test_what_is_missing_of_a_job_is_missing_in_its_coverage(said: Said) -> None:
    coverages = {job.number: coverage_of(run) for job, run, _ in said.jobs()}

    def holds(job: Job, got: float, so: JobEnergy) -> bool:
        # Of jobs of a minute or two a sample more or less is much.
        slack = 0.05 if length(said, job) >= LONG / 3 else 0.25
        whole = so.joules["two_part"] / so.measured if so.measured else math.inf
        return got >= (coverages[job.number] - slack) * whole

    assert differing(said, holds) == {}


def test_the_coverage_of_a_job_that_was_seen_is_that_of_its_power(said: Said) -> None:
    def holds(job: Job, got: float, so: JobEnergy) -> bool:
        if length(said, job) < LONG or not seen_all_the_time(said, job):
            return True
        coverage = coverage_of(said.runs[job.number])
        if not has_all_inputs(said.simulation.world, job):
            return coverage <= so.measured + 0.03
        # The first minute of a job has no slope of its CPU time yet.
        return coverage == pytest.approx(so.measured, abs=0.05)

    assert differing(said, holds) == {}


def test_short_jobs_have_their_energy_in_sum(said: Said) -> None:
    """Single ones have a sample or none; what is not known of them is not another's, and is in their coverage."""
    for kind in ("tasks of 5 s", "tasks of 45 s", "tasks of 100 s"):
        of_kind = [(joules_of(run) or 0.0, so) for job, run, so in said.jobs() if job.kind == kind]
        got, so = sum(each for each, _ in of_kind), sum(each.joules["two_part"] for _, each in of_kind)
        assert 0.5 * so <= got <= 1.03 * so, kind


def test_shared_boards_are_counted_once(said: Said) -> None:
    """Four jobs on one board: it draws what it draws."""
    for name, node in said.simulation.world.nodes.items():
        if _is_shared(said, node):
            energy = sum(said.node_joules()[name].values())
            assert energy == pytest.approx(said.oracle.nodes[name], rel=0.01), node.meter


def _is_shared(said: Said, node: Node) -> bool:
    return any(job.tres.startswith("1003") for job in said.simulation.world.on(node.name))
