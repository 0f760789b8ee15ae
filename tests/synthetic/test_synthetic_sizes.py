"""A synthetic cluster of any size: everything in proportion to its running jobs, and as sound as the usual one."""

from collections import Counter

import pytest

from aggregator.synthetic import USUAL_RUNNING, SyntheticCluster, past_seconds
from aggregator.synthetic.profiles import PROFILES

START = 1_800_000_900.0


def sized(running: int) -> SyntheticCluster:
    return SyntheticCluster(running=running, start=START)


@pytest.fixture(scope="module")
def large() -> SyntheticCluster:
    """Make one of five times the usual size."""
    return sized(5 * USUAL_RUNNING)


def gpu_nodes(cluster: SyntheticCluster) -> int:
    return sum(len(pool.nodes) for pool in cluster.pools if pool.gpus)


@pytest.mark.parametrize("running", [1, 20, 100])
def test_a_tiny_one_still_has_every_kind_of_job_of_node_and_an_outage(running: int) -> None:
    cluster = sized(running)
    assert {live.profile.name for live in cluster.live()} == {profile.name for profile in PROFILES}
    assert len(cluster.live()) < running + 3 * len(PROFILES)
    assert (len(cluster.nodes), gpu_nodes(cluster), len(cluster.population.users)) == (21, 8, 40)
    assert cluster.outages.possible


def test_one_of_five_times_the_size_has_five_times_of_everything(large: SyntheticCluster) -> None:
    usual = sized(USUAL_RUNNING)
    for count in (lambda cluster: len(cluster.nodes), gpu_nodes, lambda cluster: len(cluster.population.users)):
        assert count(large) == 5 * count(usual)
    assert len(large.live()) == pytest.approx(5 * USUAL_RUNNING, rel=0.05)
    waiting, usually = (len(each.open_runs()) - len(each.live()) for each in (large, usual))
    assert waiting == pytest.approx(5 * usually, rel=0.1)
    assert len(large.population.accounts) == pytest.approx(5 * len(usual.population.accounts), rel=0.15)


def test_its_kinds_of_jobs_have_users_in_proportion(large: SyntheticCluster) -> None:
    users = {
        name: {live.run.user for live in large.live() if live.profile.name == name} for name in ("array", "one_core")
    }
    assert all(len(found) > 2 * 14 for found in users.values())


def test_no_node_of_it_is_oversubscribed(large: SyntheticCluster) -> None:
    sizes = {node.name: (pool.cpus, pool.memory_gib, pool.gpus) for pool in large.pools for node in pool.nodes}
    held: Counter[tuple[str, int]] = Counter()
    for live in large.live():
        for node in live.run.nodes:
            held.update({(node, 0): live.shape.cpus, (node, 1): live.shape.memory_gib, (node, 2): live.shape.gpus})
    assert all(held[name, index] <= most for name, size in sizes.items() for index, most in enumerate(size))


def test_its_past_is_shorter_and_not_empty(large: SyntheticCluster) -> None:
    assert past_seconds(USUAL_RUNNING) == past_seconds(1) == 4 * 3600.0
    assert START - large.since == pytest.approx(past_seconds(5 * USUAL_RUNNING), abs=1)
    assert past_seconds(100_000) == 180.0
    ended = large.ended_runs(large.since)
    assert ended
    assert {run.run_id for run in ended}.isdisjoint(live.run.run_id for live in large.live())


def test_one_that_begins_anew_after_the_time_of_replays_has_other_ids() -> None:
    running, minutes = 5 * USUAL_RUNNING, 6
    replayed = 4 * past_seconds(running)
    first = SyntheticCluster(running=running, start=START, since=START)
    begun = max(run.run_id for run in first.open_runs())
    first.advance(START + 60 * minutes)
    newest = max(run.run_id for run in first.open_runs())
    again = SyntheticCluster(running=running, start=START + replayed, since=START + replayed)
    assert newest > begun
    assert min(run.run_id for run in again.open_runs()) > begun + (newest - begun) * replayed / (60 * minutes)


def test_a_run_is_found_while_it_is_on_nodes_and_after_its_end(large: SyntheticCluster) -> None:
    live, ended = large.live()[17], large.ended_runs(0.0)[3]
    assert large.ran(live.run) is live
    found = large.ran(ended)
    assert ended.start is None or (found is not None and found.run is ended)
    waiting = next(run for run in large.open_runs() if run.start is None)
    assert large.ran(waiting) is None
