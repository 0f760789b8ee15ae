import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.spread import part_of, spread
from aggregator.model.accounting import JobState
from aggregator.model.node import Held
from tests.builders import GIB, make_allocation, make_run

SIZES = {f"node{number:02}": (32.0, 128.0 * GIB, 4.0) for number in range(1, 6)}


def on(*nodes: str, run_id: int = 1, state: JobState = JobState.RUNNING, **held: object):  # type: ignore[no-untyped-def]
    allocated = make_allocation(**{"cpus": 8, "memory_bytes": 8 * GIB, "nodes": len(nodes), **held})
    return make_run(run_id=run_id, job_id=run_id, nodes=nodes, allocated=allocated, state=state)


def test_a_run_of_one_node_holds_it_all_there() -> None:
    run = on("node01", gpus={"a100": 2})
    part = Held(cpus=8, memory_bytes=8 * GIB, gpus={"a100": 2})
    assert spread([run], SIZES) == {"node01": {1: part}}


def test_a_run_of_several_nodes_is_spread_evenly_where_there_is_room() -> None:
    parts = spread([on("node01", "node02", gpus={"a100": 2, "": 2})], {})
    part = Held(cpus=4.0, memory_bytes=4.0 * GIB, gpus={"a100": 1.0, "": 1.0}, estimated=True)
    assert parts == {"node01": {1: part}, "node02": {1: part}}


def test_what_is_too_much_for_one_node_is_on_the_others() -> None:
    parts = spread([on("node01", "node02", "node03", cpus=66), on("node01", run_id=2, cpus=20)], SIZES)
    assert [parts[node][1].cpus for node in ("node01", "node02", "node03")] == [12.0, 27.0, 27.0]


def test_a_suspended_run_holds_no_cpus_of_a_node() -> None:
    part = spread([on("node01", state=JobState.SUSPENDED)], SIZES)["node01"][1]
    assert (part.cpus, part.memory_bytes) == (0, 8 * GIB)


def test_memory_that_is_not_managed_is_not_held() -> None:
    assert spread([on("node01", "node02", memory_bytes=None)], SIZES)["node02"][1].memory_bytes is None


def test_an_ended_run_held_an_even_part_and_no_more_than_the_node_has() -> None:
    run = on("node01", "node02", cpus=80)
    assert part_of(run, (32.0, None, None)) == Held(cpus=32.0, memory_bytes=4.0 * GIB, estimated=True)


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(sorted(SIZES)), min_size=2), st.integers(1, 200), st.integers(0, 20)),
        max_size=6,
    )
)
def test_no_node_is_given_more_than_it_has_and_no_run_more_than_it_holds(
    drawn: list[tuple[set[str], int, int]],
) -> None:
    runs = [
        on(*sorted(nodes), run_id=number, cpus=cpus, gpus={"": gpus} if gpus else {})
        for number, (nodes, cpus, gpus) in enumerate(drawn)
    ]
    parts = spread(runs, SIZES)
    for node, of_node in parts.items():
        assert sum(part.cpus for part in of_node.values()) <= SIZES[node][0] * (1 + 1e-9)
        assert sum(sum(part.gpus.values()) for part in of_node.values()) <= SIZES[node][2] * (1 + 1e-9)
    for run in runs:
        held = sum(of_node[run.run_id].cpus for of_node in parts.values() if run.run_id in of_node)
        assert held <= run.allocated.cpus * (1 + 1e-9)
        if len(runs) == 1:
            assert held == pytest.approx(min(run.allocated.cpus, 32 * len(run.nodes)))
