"""What is on each node, and why something is not seen: three causes that are never mixed up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.nodes import EXPLANATIONS, join_nodes
from aggregator.join.nodestate import state_of
from aggregator.model.accounting import JobState
from aggregator.model.around import NodeEvent
from aggregator.model.node import Held, Hosts, NodeView, Scheduler, Told
from tests.builders import GIB, HOSTILE_NAMES, NOW, make_allocation, make_gpu, make_run, make_use

RUNS = st.lists(
    st.builds(
        lambda number, nodes, cpus, gpus: make_run(
            run_id=number, job_id=number, nodes=tuple(nodes), allocated=make_allocation(cpus=cpus, gpus={"a100": gpus})
        ),
        st.integers(1, 10_000),
        st.lists(st.sampled_from(["n1", "n2", "n3", *HOSTILE_NAMES]), min_size=1, max_size=5),
        st.integers(0, 4096),
        st.integers(0, 64),
    ),
    max_size=20,
)


def by_name(*runs: object, **known: object) -> dict[str, NodeView]:
    use = known.pop("use", None)
    return {node.name: node for node in join_nodes(runs, use, **known)}  # type: ignore[arg-type]


@given(RUNS)
def test_the_nodes_add_up_to_what_the_runs_hold(runs: list[object]) -> None:
    nodes = by_name(*runs).values()
    held = [run.allocated for run in runs]  # type: ignore[attr-defined]
    assert sum(node.held.cpus for node in nodes) == pytest.approx(sum(each.cpus for each in held))
    assert sum(node.held.memory_bytes for node in nodes) == pytest.approx(sum(each.memory_bytes for each in held))
    gpus = sum(node.held.gpus.get("a100", 0.0) for node in nodes)
    assert gpus == pytest.approx(sum(each.gpus["a100"] for each in held))


def test_a_run_of_several_nodes_is_spread_evenly_and_that_is_said() -> None:
    nodes = by_name(make_run(nodes=("n1", "n2"), allocated=make_allocation(cpus=9)), make_run(run_id=2, nodes=("n1",)))
    assert nodes["n1"].held == Held(cpus=12.5, memory_bytes=96 * GIB, estimated=True)
    assert nodes["n2"].held.estimated
    assert not by_name(make_run(nodes=("n1",)))["n1"].held.estimated


def test_a_run_that_is_not_on_its_nodes_holds_nothing() -> None:
    assert by_name(make_run(state=JobState.PENDING, start=None), make_run(end=NOW, state=JobState.COMPLETED)) == {}


def test_nodes_without_jobs_are_there_when_anybody_lists_them() -> None:
    scheduler = Scheduler(time=NOW, nodes={"n9": Told(state="idle")})
    assert by_name(listed=("n1",), scheduler=scheduler).keys() == {"n1", "n9"}
    assert by_name(use=make_use()).keys() == {"node01", "node02"}, "else the targets of slurm-job-exporter"


def test_a_host_that_is_no_compute_node_is_shown_as_such_and_has_no_jobs() -> None:
    hosts = Hosts(time=NOW, values={"load1": {"login1": 3.0, "storage1": 9.0}})
    nodes = by_name(hosts=hosts, kinds={"login1": "login"}, listed=("n1", "login1"))
    assert nodes.keys() == {"n1", "login1"}, "a target that nobody lists is none of the cluster's nodes"
    assert (nodes["login1"].kind, nodes["login1"].measured) == ("login", {"load1": 3.0})


SEEN = {4711: {"node01": 1.0}}


@pytest.mark.parametrize(
    ("changes", "jobs", "cause"),
    [
        ({"memory_bytes": SEEN}, 1, None),
        ({"memory_bytes": {}, "cpus": SEEN}, 1, None),
        ({"healthy_nodes": frozenset({"node02"})}, 2, "exporter_down"),
        ({"memory_bytes": SEEN}, 2, "no_process"),
        ({}, 1, "no_process"),
        ({}, 2, "exporter_blind"),
        ({"healthy_nodes": frozenset()}, 2, "unknown"),
        ({"healthy_nodes": None}, 2, "unknown"),
        ({"memory_bytes": None}, 2, None),
    ],
)
def test_why_jobs_are_not_seen(changes: dict[str, object], jobs: int, cause: str | None) -> None:
    """Down, or no process of this job, or blind for the whole node: and nothing where the input itself is missing."""
    runs = [make_run(run_id=number, job_id=4711 + number) for number in range(jobs)]
    node = by_name(*runs, use=make_use(**changes))["node01"]
    assert node.cause == cause
    assert cause is None or EXPLANATIONS[node.cause]  # type: ignore[index]


@given(RUNS, st.booleans(), st.sets(st.sampled_from(["n1", "n2", "n3"])), st.sets(st.integers(1, 10_000)))
def test_nothing_is_missed_that_is_seen_and_every_miss_has_a_cause(
    runs: list[object], readable: bool, healthy: set[str], seen: set[int]
) -> None:
    """Whatever is scraped when: series of other nodes, of jobs that are not there, of half of a job's nodes."""
    series = {job_id: {"n1": 1.0, "elsewhere": 2.0} for job_id in seen}
    use = make_use(memory_bytes=series if readable else None, healthy_nodes=frozenset(healthy))
    for node in join_nodes(runs, use):  # type: ignore[arg-type]
        assert (node.unobserved is None) is not readable
        assert set(node.unobserved or ()) <= set(node.jobs)
        assert bool(node.unobserved) is (node.cause is not None)
        if node.name == "n1":
            assert seen.isdisjoint(node.unobserved or ())


def test_several_young_jobs_do_not_make_an_exporter_blind() -> None:
    runs = [make_run(run_id=number, job_id=number, start=NOW - 200) for number in (1, 2)]
    node = by_name(*runs, use=make_use())["node01"]
    assert (node.cause, node.unobserved) == ("no_process", (1, 2))


def test_a_job_that_has_just_started_is_not_missed() -> None:
    node = by_name(make_run(start=NOW - 40), use=make_use())["node01"]
    assert (node.unobserved, node.cause, node.exporter_up) == ((), None, True)


def test_without_prometheus_nothing_is_said_to_be_unobserved() -> None:
    assert by_name(make_run())["node01"].unobserved is None


def test_gpus_with_series_are_counted_and_no_utilisation_is_not_zero() -> None:
    gpus = {1: (make_gpu(), make_gpu(index="1", utilization=None)), 2: (make_gpu(utilization=None, node="node02"),)}
    nodes = by_name(use=make_use(gpus=gpus))
    assert (nodes["node01"].observed_gpus, nodes["node01"].used_gpus) == (2, 0.5)
    assert (nodes["node02"].observed_gpus, nodes["node02"].used_gpus) == (1, None)


def test_slurmctlds_word_comes_before_slurmdbds_and_the_reason_is_slurmdbds() -> None:
    node = NodeView(name="n1", told=Told(state="drained", flags=("not_responding",)))
    state = state_of(node, [NodeEvent("n1", NOW - 9, None, ("down",), "bad DIMM")])
    assert (state.word, state.flags, state.source) == ("drained", ("not_responding",), "slurm-exporter")
    assert (state.reason, state.since) == ("bad DIMM", NOW - 9)


@pytest.mark.parametrize(
    ("states", "jobs", "word"),
    [
        (("down",), (), "down"),
        (("idle", "drain"), (), "drained"),
        (("mixed", "drain"), (1,), "draining"),
        ((), (), None),
    ],
)
def test_without_an_exporter_the_state_is_slurmdbds(
    states: tuple[str, ...], jobs: tuple[int, ...], word: str | None
) -> None:
    node = NodeView(name="n1", jobs=jobs)
    assert state_of(node, [NodeEvent("n1", NOW, None, states)]).word == word


def test_a_node_of_which_slurmdbd_records_nothing_bad_is_as_busy_as_its_jobs_say() -> None:
    sized = {"measured": {"cpus": 32.0}, "jobs": (1,)}
    assert state_of(NodeView(name="n1"), []).word == "idle"
    assert state_of(NodeView(name="n1", held=Held(cpus=8), **sized), []).word == "mixed"  # type: ignore[arg-type]
    assert state_of(NodeView(name="n1", held=Held(cpus=32), **sized), []).word == "allocated"  # type: ignore[arg-type]
    assert state_of(NodeView(name="n1", jobs=(1,)), []).word is None, "its size is not known"
    assert state_of(NodeView(name="n1"), None).word is None, "nobody says anything"
