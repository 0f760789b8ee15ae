"""What is made of the same objects is made once, and is gone with them."""

import gc
import weakref

import polars as pl

from aggregator.engine.once import once


def test_it_is_made_once_for_the_same_objects_and_anew_for_equal_ones() -> None:
    asked = []

    @once
    def heights(one: pl.DataFrame, other: pl.DataFrame | None) -> tuple[int, int]:
        asked.append((one, other))
        return one.height, 0 if other is None else other.height

    first, second = pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]})
    assert [heights(first, None), heights(first, None), heights(first, second), heights(second, None)] == [
        (1, 0), (1, 0), (1, 1), (1, 0)
    ]  # fmt: skip
    assert len(asked) == 3


def test_what_was_made_goes_with_any_of_its_objects() -> None:
    @once
    def cleared(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([one, other]).clear()

    kept, gone = pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})
    made = weakref.ref(cleared(kept, gone))
    assert made() is not None
    del gone
    gc.collect()
    assert made() is None
    assert cleared(kept, pl.DataFrame({"a": [3]})).is_empty()
