"""The rules of null, and that a join never doubles a row."""

import polars as pl
import pytest

from aggregator.engine.frame import add_columns, ratio, side_by_side, total


def test_a_row_is_never_doubled() -> None:
    rows, twice = pl.DataFrame({"key": [1, 2]}), pl.DataFrame({"key": [1, 1], "value": [3, 4]})
    assert add_columns(rows, twice.head(1), on="key").rows() == [(1, 3), (2, None)]
    with pytest.raises(pl.exceptions.ComputeError):
        add_columns(rows, twice, on="key")


def test_what_is_known_of_nothing_is_not_0_and_a_sum_of_zeros_is() -> None:
    frame = pl.DataFrame({"key": ["a", "b", "b", "c"], "value": [None, 0.0, None, 2.0]})
    assert frame.group_by("key").agg(total("value")).sort("key").rows() == [("a", None), ("b", 0.0), ("c", 2.0)]


def test_of_nothing_there_is_no_share() -> None:
    frame = pl.DataFrame({"part": [0.0, 1.0, None, 1.0], "whole": [2.0, 0.0, 2.0, None]})
    assert frame.select(ratio("part", "whole")).to_series().to_list() == [0.0, None, None, None]


def test_frames_of_the_same_rows_become_one_and_others_stay() -> None:
    one = pl.DataFrame({"node": ["a", None], "value": [1.0, 2.0]})
    other = pl.DataFrame({"node": [None, "a"], "value": [3.0, 4.0]})
    first, second = side_by_side({"cpus": one, "threads": other, "memory": one}, "value")
    assert first.to_dict(as_series=False) == {"node": ["a", None], "cpus": [1.0, 2.0], "memory": [1.0, 2.0]}
    assert second.to_dict(as_series=False) == {"node": [None, "a"], "threads": [3.0, 4.0]}
