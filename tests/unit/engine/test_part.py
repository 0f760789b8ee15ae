"""Parts are joined in order; one that fails takes nothing with it but its own columns."""

import polars as pl
import pytest

from aggregator.engine.column import Column, DeclarationError, Table
from aggregator.engine.part import Frames, Inputs, Layout, Part

_USER = Column(name="user", dtype=pl.String, help="Who.")
_CPUS = Column(name="cpus", dtype=pl.Int64, help="How many.")
_WASTED = Column(name="wasted", dtype=pl.Float64, help="How much.")
_JOBS = Table(name="jobs", of="job", collect="jobs", labels={"user": "user"}, columns=(_USER, _CPUS))
_SUMS = Table(name="sums", of="sum", collect="jobs", labels={}, columns=(_WASTED,))


class _Cpus(int):
    """An input."""


def _ground(frames: Frames, inputs: Inputs, at: float) -> Frames:
    return {"jobs": pl.DataFrame({"user": ["ada", "bob"], "cpus": [inputs.get(_Cpus), None]})}


def _waste(frames: Frames, inputs: Inputs, at: float) -> Frames:
    return {"jobs": frames["jobs"].with_columns(wasted=pl.col("cpus") / 2)}


def _broken(frames: Frames, inputs: Inputs, at: float) -> Frames:
    return {"jobs": frames["jobs"].with_columns(wasted=pl.col("no such column"))}


def _sums(frames: Frames, inputs: Inputs, at: float) -> Frames:
    return {"sums": frames["jobs"].select(pl.col("wasted").max())}


GROUND = Part(name="ground", join=_ground, tables=(_JOBS,))
WASTE = Part(name="waste", join=_waste, columns={"jobs": (_WASTED,)})
BROKEN = Part(name="waste", join=_broken, columns={"jobs": (_WASTED,)})
SUMS = Part(name="sums", join=_sums, tables=(_SUMS,))


def test_parts_see_what_the_parts_before_them_have_joined() -> None:
    joined = Layout("cluster", [GROUND, WASTE, SUMS]).join(Inputs(_Cpus(4)), 0.0)
    assert joined.frames["jobs"].rows() == [("ada", 4, 2.0), ("bob", None, None)]
    assert joined.frames["sums"].rows() == [(2.0,)]
    assert not joined.failed


def test_a_part_that_fails_withdraws_its_own_columns_only() -> None:
    joined = Layout("cluster", [GROUND, BROKEN, SUMS]).join(Inputs(_Cpus(4)), 0.0)
    assert joined.frames["jobs"].rows() == [("ada", 4, None), ("bob", None, None)]
    assert joined.frames["sums"].rows() == [(None,)]
    assert list(joined.failed) == ["waste"]
    assert isinstance(joined.failed["waste"], pl.exceptions.ColumnNotFoundError)


def test_the_table_of_a_part_that_fails_is_empty() -> None:
    joined = Layout("cluster", [Part(name="ground", join=_broken, tables=(_JOBS,))]).join(Inputs(), 0.0)
    assert joined.frames["jobs"].is_empty()
    assert joined.frames["jobs"].schema == _JOBS.schema


def test_a_part_whose_values_have_another_type_fails() -> None:
    wrong = Part(name="ground", join=lambda *_: {"jobs": pl.DataFrame({"cpus": ["four"]})}, tables=(_JOBS,))
    assert list(Layout("cluster", [wrong]).join(Inputs(), 0.0).failed) == ["ground"]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([GROUND, GROUND], "another part has a table jobs"),
        ([WASTE], "no part before it has a table jobs"),
        ([GROUND, WASTE, WASTE], "two columns have one name"),
    ],
)
def test_what_is_declared_twice_or_for_nothing_is_refused(parts: list[Part], why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        Layout("cluster", parts)


def test_an_input_that_could_not_be_read_is_not_there() -> None:
    assert Inputs(None, _Cpus(1)).get(_Cpus) == 1
    assert Inputs(None).get(_Cpus) is None
