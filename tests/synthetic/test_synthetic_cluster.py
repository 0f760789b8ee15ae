import asyncio
import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.accounting import JobState
from aggregator.model.jobid import JobId
from aggregator.synthetic import SyntheticAccounting, SyntheticCluster
from aggregator.synthetic.profiles import PROFILES

START = 1_800_000_900.0


def small() -> SyntheticCluster:
    return SyntheticCluster(nodes=12, gpu_nodes=4, running=120, start=START)


def state_of(cluster: SyntheticCluster) -> tuple[object, ...]:
    """Give the state without the nodes' identities, which differ between two clusters."""
    free = [(node.name, node.free_cpus, node.free_memory_gib, node.free_gpus) for node in cluster.nodes]
    fate = [(live.run.run_id, live.end, live.outcome) for live in cluster.live()]
    return cluster.open_runs(), cluster.ended_runs(0.0), fate, free


@pytest.fixture(scope="module")
def played() -> SyntheticCluster:
    """A default cluster after two hours."""
    cluster = SyntheticCluster(start=START)
    cluster.advance(START + 7200)
    return cluster


@settings(max_examples=settings.default.max_examples // 4)
@given(st.lists(st.floats(0.0, 7200.0), max_size=12))
def test_state_depends_on_the_time_only(steps: list[float]) -> None:
    stepped, straight = small(), small()
    for step in steps:
        stepped.advance(START + step)
    stepped.advance(START + 7200)
    straight.advance(START + 7200)
    assert state_of(stepped) == state_of(straight)


async def test_reached_in_small_steps_by_several_at_once_it_is_the_same() -> None:
    together, straight = small(), small()
    await asyncio.gather(*(together.reach(START + seconds) for seconds in (3600.0, 7200.0, 10.0, 7200.0)))
    straight.advance(START + 7200)
    assert together.time == straight.time
    assert state_of(together) == state_of(straight)


async def test_others_go_on_while_it_moves() -> None:
    cluster, turns = small(), 0
    moving = asyncio.create_task(cluster.reach(START + 7200))
    while not moving.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 5


def test_what_ended_more_than_a_day_ago_is_forgotten_with_its_dependency() -> None:
    cluster = small()
    cluster.advance(START + 40_000)
    before = cluster.ended_runs(0.0)
    waited = {job_id for job_id in cluster.dependencies() if all(run.end for run in cluster.runs_of(job_id))}
    cluster.advance(START + 130_000)
    assert before
    assert waited
    assert all(run not in cluster.runs_of(run.job_id) for run in before)
    assert waited.isdisjoint(cluster.dependencies())
    assert all(list(cluster.runs_of(job_id)) for job_id in cluster.dependencies())


def test_another_seed_gives_another_cluster() -> None:
    first = SyntheticCluster(nodes=12, gpu_nodes=4, running=120, start=START)
    second = SyntheticCluster(seed=2, nodes=12, gpu_nodes=4, running=120, start=START)
    assert first.open_runs() != second.open_runs()


def test_time_never_goes_back() -> None:
    cluster = small()
    cluster.advance(START + 600)
    before = state_of(cluster)
    cluster.advance(START)
    assert cluster.time == START + 600
    assert state_of(cluster) == before


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_node_is_oversubscribed(seed: int) -> None:
    cluster = SyntheticCluster(seed=seed, start=START)
    capacity = {node.name: (48, 512, 4) if node.name.startswith("ng") else (64, 256, 0) for node in cluster.nodes}
    for minute in range(0, 240, 20):
        cluster.advance(START + 60 * minute)
        held: Counter[tuple[str, str]] = Counter()
        for live in cluster.live():
            for node in live.run.nodes:
                held[node, "cpus"] += live.shape.cpus
                held[node, "memory"] += live.shape.memory_gib
                held[node, "gpus"] += live.shape.gpus
        for name, (cpus, memory, gpus) in capacity.items():
            assert held[name, "cpus"] <= cpus
            assert held[name, "memory"] <= memory
            assert held[name, "gpus"] <= gpus


def test_allocation_of_a_run_is_its_shape_on_its_nodes() -> None:
    for live in small().live():
        count = len(live.run.nodes)
        assert live.run.allocated.nodes == count == len(set(live.run.nodes))
        assert live.run.allocated.cpus == live.shape.cpus * count
        assert live.run.allocated.memory_bytes == live.shape.memory_gib * 2**30 * count
        assert live.run.allocated.gpu_count == live.shape.gpus * count
        assert live.run.allocated == live.run.requested


def test_number_of_running_jobs_stays_about_constant() -> None:
    cluster = SyntheticCluster(start=START)
    counts = []
    for minute in range(121):
        cluster.advance(START + 60 * minute)
        counts.append(len(cluster.live()))
    assert 810 <= min(counts) <= max(counts) <= 990


def test_several_jobs_come_and_go_each_minute() -> None:
    cluster = SyntheticCluster(start=START)
    before = {run.run_id for run in cluster.open_runs()}
    cluster.advance(START + 600)
    after = {live.run.run_id for live in cluster.live()}
    assert len(cluster.ended_runs(START)) >= 20
    assert len(after - before) >= 20


def test_every_behaviour_runs_at_the_start() -> None:
    running = {live.profile.behaviour.name for live in SyntheticCluster(start=START).live()}
    assert running == {profile.behaviour.name for profile in PROFILES}


@pytest.mark.parametrize("running", [60, 300, 900])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_told_of_is_there_whatever_the_seed_and_stays_for_hours(seed: int, running: int) -> None:
    cluster = SyntheticCluster(seed=seed, running=running, start=START)
    first = cluster.told()
    assert first.keys() == {profile.name for profile in PROFILES if profile.told}
    assert all(cluster.since - 120 < (run.start or 0.0) < cluster.since for run in first.values())
    blind = cluster.pools[0].nodes[1].name
    assert blind in first["mpi"].nodes, "a job that cannot be judged"
    cluster.advance(START + 3 * 3600)
    assert cluster.told() == first


def test_ages_at_the_start_reach_days() -> None:
    ages = sorted(live.run.elapsed(START) for live in SyntheticCluster(start=START).live())
    assert ages[0] < 600
    assert ages[-1] > 86_400


def test_ids_are_unique(played: SyntheticCluster) -> None:
    runs = played.open_runs()
    assert len({run.run_id for run in (*runs, *played.ended_runs(0.0))}) == len(runs) + len(played.ended_runs(0.0))
    assert len({run.job_id for run in runs}) == len(runs)


def test_runs_are_what_slurm_could_have_written(played: SyntheticCluster) -> None:
    for run in (*played.open_runs(), *played.ended_runs(0.0)):
        assert run.account in played.population.accounts
        assert run.start is None or run.submit <= (run.eligible or 0.0) <= run.start <= played.time
        assert run.end is None or run.start is None or run.start < run.end
        assert run.is_open == (run.state in (JobState.PENDING, JobState.RUNNING))
        assert run.holds_resources == (run.state is JobState.RUNNING)
        assert run.time_limit_seconds is not None
        assert run.elapsed(played.time) <= run.time_limit_seconds


def test_users_charge_their_own_accounts(played: SyntheticCluster) -> None:
    accounts = {user.name: user.accounts for user in played.population.users}
    assert len(accounts) == len(played.population.users) == 40
    assert all(run.account in accounts[run.user] for run in played.open_runs())


def test_account_tree_is_rooted_and_has_children_of_awards(played: SyntheticCluster) -> None:
    tree = played.population.accounts
    assert all(account.parent in tree for account in tree.values() if account.name != "root")
    assert any(tree[account.parent].name.startswith("rrg-") for account in tree.values() if account.parent)
    assert all(account.organization for account in tree.values() if account.name != "root")


def test_all_ways_to_end_are_there() -> None:
    cluster = SyntheticCluster(start=START)
    states = set()
    for hour in range(12):
        cluster.advance(START + 3600 * hour)
        states |= {run.state for run in cluster.ended_runs(0.0)}
    assert states >= {
        JobState.COMPLETED, JobState.FAILED, JobState.TIMEOUT, JobState.OUT_OF_MEMORY, JobState.CANCELLED,
        JobState.REQUEUED,
    }  # fmt: skip


def test_requeued_job_comes_back_under_its_id(played: SyntheticCluster) -> None:
    requeued = [run for run in played.ended_runs(0.0) if run.state is JobState.REQUEUED]
    later = {(run.job_id, run.array_task_id): run for run in (*played.ended_runs(0.0), *played.open_runs())}
    assert requeued
    for run in requeued:
        again = later[run.job_id, run.array_task_id]
        assert again.run_id > run.run_id
        assert again.submit >= (run.end or 0.0)


def test_pending_has_unsplit_arrays_held_jobs_and_hostile_names(played: SyntheticCluster) -> None:
    pending = [run for run in played.open_runs() if run.state is JobState.PENDING]
    assert 150 <= len(pending) <= 300
    assert any(run.pending_tasks > 1 and run.display_id.endswith("[…]") for run in pending)
    assert any(run.eligible is None for run in pending)
    names = "".join(run.name for run in played.open_runs())
    assert all(character in names for character in '"\n🧬\\')


def test_array_tasks_share_what_their_array_is(played: SyntheticCluster) -> None:
    tasks = sorted(
        (run for run in (*played.open_runs(), *played.ended_runs(0.0)) if run.array_job_id is not None),
        key=lambda run: run.array_job_id or 0,
    )
    for _, group in itertools.groupby(tasks, key=lambda run: run.array_job_id):
        runs = list(group)
        assert len({(run.user, run.account, run.name) for run in runs}) == 1
        open_tasks = [run.array_task_id for run in runs if run.is_open]
        assert len(open_tasks) == len(set(open_tasks))


def test_components_of_a_heterogeneous_job_start_together(played: SyntheticCluster) -> None:
    components: dict[int, list[tuple[int | None, int, float | None]]] = {}
    for run in played.open_runs():
        if run.het_job_id is not None:
            components.setdefault(run.het_job_id, []).append((run.het_offset, run.job_id, run.start))
    assert components
    for leader, rows in components.items():
        assert sorted(rows, key=lambda row: row[1])[0][:2] == (0, leader)
        assert [job_id for _, job_id, _ in sorted(rows, key=lambda row: row[1])] == [leader, leader + 1]
        assert len({start for _, _, start in rows}) == 1


async def test_runs_of_finds_tasks_components_and_ended_runs(played: SyntheticCluster) -> None:
    accounting = SyntheticAccounting(played)
    task = next(run for run in played.open_runs() if run.array_task_id is not None)
    assert task.array_job_id is not None
    assert task in await accounting.runs_of(JobId(task.array_job_id, array_task=task.array_task_id))
    assert len(await accounting.runs_of(JobId(task.array_job_id))) > 1
    component = next(run for run in played.open_runs() if run.het_offset == 1)
    assert component.het_job_id is not None
    assert await accounting.runs_of(JobId(component.het_job_id, het_offset=1)) == (component,)
    oldest = played.ended_runs(0.0)[0]
    assert oldest.end is not None
    assert oldest.end < played.time - 3000
    assert oldest in await accounting.runs_of(JobId(oldest.job_id))
    assert await accounting.runs_of(JobId(1)) == ()


async def test_accounting_gives_open_runs_and_those_ended_lately() -> None:
    cluster = small()
    accounting = SyntheticAccounting(cluster)
    fetched = await accounting.fetch(START + 60)
    ended = [run.end for run in fetched.runs if run.end is not None]
    assert cluster.time == fetched.time == START + 60
    assert ended
    assert min(ended) >= START + 60 - 900
    assert accounting.rows == len(fetched.runs)
    assert {run.run_id for run in cluster.open_runs()} <= {run.run_id for run in fetched.runs}


@pytest.mark.parametrize(("nodes", "gpu_nodes", "running"), [(3, 0, 20), (2, 1, 5), (4, 1, 5000)])
def test_odd_sizes_work(nodes: int, gpu_nodes: int, running: int) -> None:
    cluster = SyntheticCluster(nodes=nodes, gpu_nodes=gpu_nodes, running=running, start=START)
    cluster.advance(START + 3600)
    assert cluster.live()
    assert len(cluster.nodes) == nodes
