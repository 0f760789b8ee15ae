"""Node events without slurmctld's book-keeping."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.events import merge_events
from aggregator.model.run_details import NodeEvent

DOWN = ("down",)


def event(start: float, end: float | None, node: str = "n1", reason: str = "disk") -> NodeEvent:
    return NodeEvent(node, start, end, DOWN, reason)


def test_rows_that_a_change_of_the_cluster_has_cut_are_one_event() -> None:
    assert merge_events([event(20, None), event(10, 20)]) == (event(10, None),)


def test_other_reasons_nodes_and_times_are_other_events() -> None:
    apart = (event(10, 20), event(21, 30), event(30, 40, reason="fan"), event(20, 30, node="n2"))
    assert merge_events(apart) == tuple(sorted(apart, key=lambda each: (each.node, each.start)))


def test_a_marker_of_a_node_update_is_no_event_and_cuts_none() -> None:
    assert merge_events([event(10, 20), event(20, 20, reason="node-update"), event(20, 30)]) == (event(10, 30),)


def test_a_node_that_failed_and_came_back_within_a_second_is_an_event() -> None:
    """Slurm 22.05 writes such a row when a node that took a job with it registers again at once."""
    assert merge_events([event(10, 10)]) == (event(10, 10),)
    assert merge_events([event(10, None), event(10, 10)]) == (event(10, None),)


def test_of_nothing_comes_nothing() -> None:
    assert merge_events([]) == ()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.data())
def test_merging_keeps_the_time_that_the_node_was_away(lengths: list[int], data: st.DataObject) -> None:
    rows, at = [], 0.0
    for length in lengths:
        rows.append(event(at, at + length, reason=data.draw(st.sampled_from(["a", "b"]))))
        at += length + data.draw(st.sampled_from([0, 0, 5]))
    merged = merge_events(data.draw(st.permutations(rows)))
    assert sum((each.end or 0) - each.start for each in merged) == sum(lengths)
    assert len(merged) <= len(rows)
