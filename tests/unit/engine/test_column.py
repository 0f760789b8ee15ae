"""What would spoil the page for all parts is refused where it is declared."""

from typing import Any

import polars as pl
import pytest

from aggregator.engine.column import Column, DeclarationError, Family, Sample, Table


def family(**changes: Any) -> Family:
    return Family(**{"name": "hpc_tape_mounted", "help": "Tapes.", "cost": "tapes", "source": "library", **changes})


def table(dtype: Any = pl.Float64, label: Any = pl.String, shown: Any = pl.Boolean, **changes: Any) -> Table:
    columns = (
        Column(name="library", dtype=label, help="Name."), Column(name="is_shown", dtype=shown, help="Whether."),
        Column(name="mounted", dtype=dtype, help="Tapes.", sample=Sample(family=family())),
    )  # fmt: skip
    return Table(**{"name": "tapes", "of": "library", "collect": "tapes", "labels": {"library": "library"},
                    "columns": columns, "where": "is_shown", **changes})  # fmt: skip


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int64, pl.UInt8, pl.Boolean, pl.Int128])
def test_a_value_is_a_number(dtype: Any) -> None:
    assert table(dtype).schema["mounted"] == dtype


@pytest.mark.parametrize("dtype", [pl.String, pl.List(pl.Int64), pl.Datetime("us"), pl.Struct({"a": pl.Int64})])
def test_anything_else_cannot_be_written(dtype: Any) -> None:
    with pytest.raises(DeclarationError, match=r"tapes: mounted is .* must be a number, for it is a value at /metrics"):
        table(dtype)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.List(pl.String), pl.Boolean, pl.Datetime("us")])
def test_a_label_is_a_text_or_an_integer(dtype: Any) -> None:
    assert [table(label=fine).schema["library"] for fine in (pl.Int64, pl.Enum(["a"]))] == [pl.Int64, pl.Enum(["a"])]
    with pytest.raises(DeclarationError, match=r"tapes: library is .*, and must be a text or an integer"):
        table(label=dtype)


def test_what_chooses_rows_is_a_truth_value() -> None:
    with pytest.raises(DeclarationError, match="tapes: is_shown is String, and must be Boolean"):
        table(shown=pl.String)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "tape/drives"}, "'tape/drives' is not a name"),
        ({"collect": "Tapes"}, "'Tapes' is not a name"),
        ({"labels": {"tape-library": "library"}}, "'tape-library' is not a name"),
        ({"size": "library"}, "library is String, and must be a number"),
    ],
)
def test_names_are_those_of_labels_and_paths(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        table(**changes)


def test_no_family_has_a_label_twice() -> None:
    with pytest.raises(DeclarationError, match="'of-library' is not a name"):
        family(labels=("of-library",))
    shown = Sample(family=family(labels=("library",)), labels={"library": "x"})
    columns = (
        Column(name="library", dtype=pl.String, help="Name."),
        Column(name="mounted", dtype=pl.Float64, help="Tapes.", sample=shown),
    )
    with pytest.raises(DeclarationError, match="hpc_tape_mounted: two labels are called library"):
        table(columns=columns, where="")


def test_a_query_that_could_never_be_written_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"mounted: the query must have a name after each \$"):
        Column(name="mounted", dtype=pl.Float64, help="Tapes.", promql="sum($)")
