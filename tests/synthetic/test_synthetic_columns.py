"""What jobs use, in columns: the same whichever way it is added up."""

from collections import Counter

import pytest

from aggregator.model.job_inputs import NODE_VALUES
from aggregator.synthetic import SyntheticCluster
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.use import Columns, gpus_of

START = 1_800_000_900.0


@pytest.fixture(scope="module")
def lives() -> tuple[LiveRun, ...]:
    return SyntheticCluster(running=100, start=START).live()


def test_a_column_has_a_value_for_each_run_and_node(lives: tuple[LiveRun, ...]) -> None:
    columns, parts = Columns(lives), sum(len(live.nodes) for live in lives)
    assert any(len(live.nodes) > 1 for live in lives)
    for column in (
        columns.cpus(START), columns.cpu_seconds(START), *columns.memory_bytes(START), columns.threads(),
    ):  # fmt: skip
        assert len(column) == parts
        frame = columns.frame(value=column)
        assert frame.schema == NODE_VALUES
        assert frame.rows() == [
            (live.run.job_id, node, value)
            for (live, node), value in zip(
                ((live, node) for live in lives for node in live.run.nodes), column, strict=True
            )
        ]
        assert sum(columns.by_node(column).values()) == pytest.approx(sum(column))


def test_each_run_has_its_own_values_as_if_it_were_alone(lives: tuple[LiveRun, ...]) -> None:
    columns = Columns(lives)
    together = columns.frame(cpus=columns.cpus(START), memory=columns.memory_bytes(START)[0])
    for live in lives:
        alone, own = Columns((live,)), together.filter(job_id=live.run.job_id)
        assert alone.cpus(START) == own["cpus"].to_list()
        assert alone.memory_bytes(START)[0] == own["memory"].to_list()


def test_a_hidden_node_shows_nothing_and_all_others_stay(lives: tuple[LiveRun, ...]) -> None:
    columns, hidden = Columns(lives), frozenset(lives[0].run.nodes)
    shown = columns.frame(hidden, cpus=columns.cpus(START))
    assert hidden.isdisjoint(shown["node"])
    assert set(shown.select("job_id", "node").rows()) == {
        (live.run.job_id, node) for live in lives for node in live.run.nodes if node not in hidden
    }


def test_of_two_runs_of_an_id_on_a_node_the_last_one_is_shown(lives: tuple[LiveRun, ...]) -> None:
    columns = Columns((lives[0], lives[0]))
    values = [*([1.0] * len(lives[0].nodes)), *([2.0] * len(lives[0].nodes))]
    assert columns.frame(value=values)["value"].to_list() == [2.0] * len(lives[0].nodes)


def test_values_of_runs_are_repeated_for_each_of_their_nodes(lives: tuple[LiveRun, ...]) -> None:
    repeated = Counter(Columns(lives).spread([live.run.run_id for live in lives]))
    assert repeated == {live.run.run_id: len(live.nodes) for live in lives}


def test_of_no_runs_there_is_nothing() -> None:
    columns = Columns(())
    assert columns.cpus(START) == columns.cpu_seconds(START) == columns.threads() == []
    assert columns.memory_bytes(START) == ([], [])
    assert columns.by_node([]) == {}
    assert columns.frame(value=[]).schema == NODE_VALUES
    assert gpus_of((), START).is_empty()
