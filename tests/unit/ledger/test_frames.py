"""Null is "not known": the rules that polars does not have by itself."""

import polars as pl
import pytest

from aggregator.ledger import frames
from aggregator.ledger.frames import known_add, sum_by
from aggregator.model import ledger, readings
from aggregator.model.readings import Frame, Windows

FRAMES = [value for module in (frames, ledger, readings) for value in vars(module).values() if isinstance(value, Frame)]


def test_a_sum_of_nothing_that_is_known_is_not_known() -> None:
    frame = pl.DataFrame({"of": [1, 1, 2, 2, 3], "gaps": [None, None, 1.5, None, 0.0], "whole": [1, 2, 3, 4, 5]})

    assert sorted(sum_by("of", frame).rows()) == [(1, None, 3), (2, 1.5, 7), (3, 0.0, 5)]
    assert sum_by("of", frame.head(0)).rows() == []


def test_what_is_added_to_nothing_known_is_what_is_known() -> None:
    frame = pl.DataFrame({"a": [None, 1.0, None, 1.0], "b": [None, None, 2.0, 2.0]})

    assert frame.select(known_add(pl.col("a"), pl.col("b")))["a"].to_list() == [None, 1.0, 2.0, 3.0]


def test_windows_are_listed_one_after_the_other() -> None:
    windows = Windows(600.0, 60.0, 2)

    assert (windows.end, windows.frame().rows()) == (720.0, [(0, 600.0, 660.0), (1, 660.0, 720.0)])


@pytest.mark.parametrize("kind", FRAMES, ids=lambda kind: kind.name)
def test_each_column_is_declared_once_and_says_what_it_is(kind: Frame) -> None:
    assert len(kind.schema) == len(kind.columns)
    assert kind.of(kind.empty()).schema == kind.schema
    assert all(column.meaning for column in kind.columns)
    assert not any(column.null for column in kind.columns[: kind.key])


def test_rows_are_found_by_their_number_and_no_number_is_had_twice() -> None:
    assert frames.rows_by_number(pl.Series([3, 0]), 5, "nodes").to_list() == [1, None, None, 0, None]
    assert frames.rows_by_number(pl.Series([], dtype=pl.Int64), 0, "nodes").to_list() == []
    with pytest.raises(ValueError, match="nodes: two rows of one key"):
        frames.rows_by_number(pl.Series([1, 1]), 2, "nodes")
