"""What jobs use, in columns: the same whichever way it is added up."""

from collections import Counter

import pytest

from aggregator.synthetic import SyntheticCluster
from aggregator.synthetic.liverun import LiveRun
from aggregator.synthetic.use import Columns

START = 1_800_000_900.0


@pytest.fixture(scope="module")
def lives() -> tuple[LiveRun, ...]:
    return SyntheticCluster(running=100, start=START).live()


def test_a_column_has_a_value_for_each_run_and_node(lives: tuple[LiveRun, ...]) -> None:
    columns, parts = Columns(lives), sum(len(live.nodes) for live in lives)
    assert any(len(live.nodes) > 1 for live in lives)
    for column in (
        columns.cpus(START), columns.cpu_seconds(START), columns.memory_bytes(START), columns.memory_peak_bytes(START),
        columns.threads(),
    ):  # fmt: skip
        assert len(column) == parts
        by_job = columns.by_job(column)
        assert {job_id: set(values) for job_id, values in by_job.items()} == {
            live.run.job_id: set(live.run.nodes) for live in lives
        }
        whole = sum(column)
        assert sum(columns.by_node(column).values()) == pytest.approx(whole)
        assert sum(value for values in by_job.values() for value in values.values()) == pytest.approx(whole)


def test_each_run_has_its_own_values_as_if_it_were_alone(lives: tuple[LiveRun, ...]) -> None:
    columns = Columns(lives)
    together = columns.by_job(columns.cpus(START)), columns.by_job(columns.memory_bytes(START))
    for live in lives:
        alone = Columns((live,))
        assert alone.cpus(START) == list(together[0][live.run.job_id].values())
        assert alone.memory_bytes(START) == list(together[1][live.run.job_id].values())


def test_a_hidden_node_shows_nothing_and_its_runs_stay(lives: tuple[LiveRun, ...]) -> None:
    columns, hidden = Columns(lives), frozenset(lives[0].run.nodes)
    shown = columns.by_job(columns.cpus(START), hidden)
    assert all(hidden.isdisjoint(values) for values in shown.values())
    assert shown[lives[0].run.job_id] == {}
    assert shown.keys() == {live.run.job_id for live in lives}


def test_values_of_runs_are_repeated_for_each_of_their_nodes(lives: tuple[LiveRun, ...]) -> None:
    repeated = Counter(Columns(lives).spread([live.run.run_id for live in lives]))
    assert repeated == {live.run.run_id: len(live.nodes) for live in lives}


def test_of_no_runs_there_is_nothing() -> None:
    columns = Columns(())
    assert columns.cpus(START) == columns.cpu_seconds(START) == columns.memory_peak_bytes(START) == []
    assert columns.by_job([]) == columns.by_node([]) == {}
