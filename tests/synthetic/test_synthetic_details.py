"""The details of the demo's runs fit with the runs, and stay the same."""

import pytest

from aggregator.model.accounting import JobState
from aggregator.parts.jobs.steps import recorded_use
from aggregator.synthetic import SyntheticCluster, SyntheticDetails

START = 1_800_000_900.0


@pytest.fixture(scope="module")
def cluster() -> SyntheticCluster:
    return SyntheticCluster(start=START)


async def test_steps_of_an_ended_run_add_up_to_no_more_than_it_held(cluster: SyntheticCluster) -> None:
    details = SyntheticDetails(cluster)
    for run in cluster.ended_runs(START - 600):
        recorded = await details.recorded_of(run)
        assert recorded is not None
        used = recorded_use(recorded)
        if run.start is None:
            assert recorded.steps == ()
        elif run.state is JobState.NODE_FAIL:
            assert used.cpu_seconds is None, "nobody was there to write it"
        else:
            assert 0 < (used.cpu_seconds or 0) <= run.elapsed(START) * run.allocated.cpus + 5
            assert 0 < (used.memory_peak_bytes or 0) <= run.allocated.memory_bytes
            assert {step.end for step in recorded.steps} == {run.end}


async def test_what_waits_for_a_job_begins_after_it(cluster: SyntheticCluster) -> None:
    details, found = SyntheticDetails(cluster), 0
    for job_id in cluster.dependencies():
        for run in cluster.runs_of(job_id):
            own = await details.dependencies_of(run)
            assert own is not None
            (dependency,) = own.depends_on
            assert dependency.job is not None
            first = list(cluster.runs_of(dependency.job.job_id))
            if first and run.start is not None:
                assert any(each.end is not None and each.end <= run.start for each in first)
            if first:
                theirs = await details.dependencies_of(first[-1])
                assert theirs is not None
                assert job_id in {each.run.job_id for each in theirs.dependents}
                found += 1
    assert found


async def test_a_node_that_fails_ends_its_runs_and_has_an_event(cluster: SyntheticCluster) -> None:
    lost = [run for run in cluster.ended_runs(0.0) if run.state is JobState.NODE_FAIL]
    assert lost
    events = await SyntheticDetails(cluster).events_of(lost[0], START)
    assert events is not None
    assert any(event.start == lost[0].end and "not_responding" in event.states for event in events.events)


async def test_drained_and_down_nodes_have_open_events_and_no_jobs(cluster: SyntheticCluster) -> None:
    names = [node.name for node in cluster.nodes]
    found = await SyntheticDetails(cluster).node_events(names, START, START, 100)
    assert found is not None
    out = {event.node for event in found.events if event.end is None}
    assert len(out) >= 2
    assert out.isdisjoint(node for live in cluster.live() for node in live.run.nodes)


async def test_past_events_are_the_same_for_a_cluster_that_begins_later(cluster: SyntheticCluster) -> None:
    later = SyntheticCluster(start=START + 86_400)
    names = [node.name for node in cluster.nodes]
    since, until = START - 30 * 86_400, START - 10 * 86_400
    found = [await SyntheticDetails(each).node_events(names, since, until, 100) for each in (cluster, later)]
    assert found[0] == found[1]
    assert found[0] is not None
    assert found[0].events


async def test_the_workshops_runs_have_its_reservation_and_only_its_nodes(cluster: SyntheticCluster) -> None:
    details = SyntheticDetails(cluster)
    reserved = await details.reservations(START)
    assert reserved is not None
    assert [each.name for each in reserved] == ["workshop", "maintenance"]
    for live in cluster.live():
        reservation = await details.reservation_of(live.run)
        assert (reservation is not None) == (live.profile.name == "workshop")
        assert (reservation is not None) == (set(live.run.nodes) <= set(reserved[0].nodes))


async def test_tasks_of_an_array_are_counted_by_state(cluster: SyntheticCluster) -> None:
    task = next(live.run for live in cluster.live() if live.run.array_task_id is not None)
    tasks = await SyntheticDetails(cluster).tasks_of(task)
    assert tasks is not None
    assert tasks.states["running"] >= 1


def test_two_starts_of_the_same_cluster_have_the_same_jobs(cluster: SyntheticCluster) -> None:
    again = SyntheticCluster(start=START + 300, since=cluster.since)
    known = {run.run_id: run for run in again.ended_runs(0.0)}
    assert all(known[run.run_id] == run for run in cluster.ended_runs(0.0))
    other = SyntheticCluster(start=START + 86_400)
    assert not {run.run_id for run in other.open_runs()} & {run.run_id for run in cluster.open_runs()}
