"""The grammar of lists: rows, order, pages and sums are those of a plain reading of the same rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cmp_to_key
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.engine.column import Column, Family, Sample, Table
from aggregator.engine.listed import Derived, Listed, Nested
from aggregator.engine.query import ListPage, QueryError, page_of, pieces_of, read_query, values_of

_FAMILY = Family(name="hpc_thing_used_cpus", help="CPUs in use.", cost="one", source="a test")
THINGS = Table(
    name="things", of="thing", collect="things", labels={"user": "user"}, columns=(
        Column(name="number", dtype=pl.UInt64, help="Its number."),
        Column(name="user", dtype=pl.String, help="Whose it is."),
        Column(name="level", dtype=pl.Enum(["low", "high"]), help="How bad it is."),
        Column(name="used_cpus", dtype=pl.Float64, help="CPUs.", sample=Sample(family=_FAMILY)),
        Column(name="used_ratio", dtype=pl.Float64, help="Share of something."),
        Column(name="is_open", dtype=pl.Boolean, help="Whether it is open."),
        Column(name="nodes", dtype=pl.List(pl.String), help="Where it is."),
        Column(name="start_timestamp_seconds", dtype=pl.Float64, help="When it began."),
        Column(name="cpu_coverage_ratio", dtype=pl.Float64, help="Share that is seen."),
        Column(name="secret", dtype=pl.Int64, help="A step of something else."),
    ),
)  # fmt: skip
FINDINGS = Table(
    name="findings", of="finding", collect="findings", labels={}, columns=(
        Column(name="number", dtype=pl.UInt64, help="The thing's number."),
        Column(name="reason", dtype=pl.String, help="What was found."),
        Column(name="severity", dtype=pl.String, help="How bad it is."),
    ),
)  # fmt: skip
LISTED = Listed(
    name="things", table=THINGS, order=("number",), hidden=frozenset({"secret"}),
    derived=(Derived(name="id", value=pl.format("#{}", "number"), help="Its name."),),
    nested=(
        Nested(name="findings", table=FINDINGS, on=("number",), columns=("reason", "severity"), help="What was found."),
    ),
    choices={"level": lambda _: ("low", "high")},
)  # fmt: skip
NUMBERS = st.none() | st.sampled_from([0.0, 1.0, 2.5, -3.0, 1e300])
Row = dict[str, Any]


@st.composite
def rows_of(draw: st.DrawFn) -> list[Row]:
    count = draw(st.integers(0, 12))
    return [
        {
            "number": 2**63 + number, "user": draw(st.sampled_from(["ann", 'b"e,n\n🚀', None])),
            "level": draw(st.sampled_from(["low", "high", None])), "used_cpus": draw(NUMBERS),
            "used_ratio": draw(NUMBERS), "is_open": draw(st.sampled_from([True, False, None])),
            "nodes": draw(st.lists(st.sampled_from(["n1", "n2"]), max_size=2)),
            "start_timestamp_seconds": draw(st.none() | st.just(1.7e9)), "cpu_coverage_ratio": draw(NUMBERS),
            "secret": number,
        }
        for number in range(count)
    ]  # fmt: skip


def frames_of(rows: Sequence[Row], findings: Sequence[Row] = ()) -> dict[str, pl.DataFrame]:
    return {
        "things": pl.DataFrame(rows, schema=THINGS.schema, orient="row"),
        "findings": pl.DataFrame(findings, schema=FINDINGS.schema, orient="row"),
    }


def ask(frames: Mapping[str, pl.DataFrame], *parameters: tuple[str, str], sees: pl.Expr | None = None) -> ListPage:
    return page_of(read_query(LISTED, parameters), frames["things"], sees, None, frames)


def numbers(page: ListPage) -> list[int]:
    return [int(number) for number in page.rows["number"]]


def pages(frames: Mapping[str, pl.DataFrame], limit: int, *parameters: tuple[str, str]) -> Iterator[ListPage]:
    cursor = ""
    while True:
        more = (("cursor", cursor),) if cursor else ()
        page = ask(frames, ("limit", str(limit)), *parameters, *more)
        yield page
        if not page.cursor:
            return
        cursor = page.cursor


def in_order(rows: Sequence[Row], sort: Sequence[str]) -> list[int]:
    """Sort as a reader would: nulls last, whatever the direction; equal ones by number."""
    ranks = {None: None, "low": 0, "high": 1}

    def compare(left: Row, right: Row) -> int:
        for word in (*sort, "number"):
            name, sign = word.removeprefix("-"), -1 if word.startswith("-") else 1
            one, other = left[name], right[name]
            if name == "level":
                one, other = ranks[one], ranks[other]
            if one == other:
                continue
            if one is None or other is None:
                return 1 if one is None else -1
            return sign * (1 if one > other else -1)
        return 0

    return [row["number"] for row in sorted(rows, key=cmp_to_key(compare))]


SORTS = st.lists(
    st.sampled_from(["user", "level", "used_cpus", "is_open", "number", "used_ratio"]), max_size=3, unique=True
).flatmap(lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names)))


@given(rows_of(), SORTS, st.integers(1, 4))
def test_pages_together_are_all_rows_in_order_each_once(rows: list[Row], sort: Sequence[str], limit: int) -> None:
    asked = (("sort", ",".join(sort)),) if sort else ()
    found = list(pages(frames_of(rows), limit, *asked))
    assert [number for page in found for number in numbers(page)] == in_order(rows, sort)
    assert {page.total for page in found[:1]} == {len(rows)}


@given(rows_of(), SORTS, st.data())
def test_a_page_goes_on_where_the_one_before_ended_whatever_comes_and_goes(
    rows: list[Row], sort: Sequence[str], data: st.DataObject
) -> None:
    asked = (("sort", ",".join(sort)),) if sort else ()
    first = ask(frames_of(rows), ("limit", "3"), *asked)
    shown = numbers(first)
    kept = [row for row in rows if row["number"] in shown[-1:] or data.draw(st.booleans())]
    if not first.cursor:
        return
    rest = [number for number in in_order(kept, sort) if number not in shown]
    assert numbers(ask(frames_of(kept), ("limit", "1000"), ("cursor", first.cursor), *asked)) == rest


@given(rows_of(), st.sampled_from([1.0, 2.5, 0.0]))
def test_filters_let_through_what_a_plain_reading_does(rows: list[Row], least: float) -> None:
    frames = frames_of(rows)
    assert numbers(ask(frames, ("user", "ann"))) == [row["number"] for row in rows if row["user"] == "ann"]
    assert numbers(ask(frames, ("nodes", "n1"), ("is_open", "true"))) == [
        row["number"] for row in rows if "n1" in row["nodes"] and row["is_open"]
    ]
    wanted = [row["number"] for row in rows if row["used_cpus"] is not None and least <= row["used_cpus"] <= 3]
    assert numbers(ask(frames, ("min_used_cpus", str(least)), ("max_used_cpus", "3"))) == wanted
    assert numbers(ask(frames, ("level", "HIGH,low"))) == [row["number"] for row in rows if row["level"]]


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_values_in_double_quotes_are_read_as_they_are(values: list[str]) -> None:
    quoted = ",".join('"' + value.replace('"', '""') + '"' for value in values)
    assert values_of([quoted]) == list(dict.fromkeys(values))


@given(st.lists(st.text(st.characters(exclude_characters=',"'), max_size=8), min_size=1, max_size=4))
def test_values_without_quotes_are_what_is_between_commas(values: list[str]) -> None:
    assert values_of([",".join(values)]) == list(dict.fromkeys(values))


def test_quotes_within_a_value_or_without_an_end_are_its_own() -> None:
    assert values_of(['a"b","c', '"d" e,f']) == ['a"b"', '"c', '"d" e', "f"]


@given(rows_of())
def test_rows_are_found_by_a_value_with_a_comma_and_not_by_its_pieces(rows: list[Row]) -> None:
    frames, name = frames_of(rows), 'b"e,n\n🚀'
    wanted = [row["number"] for row in rows if row["user"] == name]
    assert numbers(ask(frames, ("user", '"b""e,n\n🚀"'))) == wanted
    assert numbers(ask(frames, ("user", name))) == []


@given(rows_of())
def test_sums_are_conserved_and_what_is_known_of_none_is_not_known(rows: list[Row]) -> None:
    found = ask(frames_of(rows), ("group_by", "user,is_open"), ("limit", "1000")).rows
    assert found.columns == ["user", "is_open", "things", "used_cpus"]
    assert sum(found["things"]) == len(rows)
    for row in found.to_dicts():
        own = [each for each in rows if (each["user"], each["is_open"]) == (row["user"], row["is_open"])]
        known = [each["used_cpus"] for each in own if each["used_cpus"] is not None]
        assert (row["used_cpus"] is None) == (not known)
        assert row["used_cpus"] == (pytest.approx(sum(known)) if known else None)


@given(rows_of())
def test_what_may_not_be_seen_is_not_counted_or_added_up(rows: list[Row]) -> None:
    sees = (pl.col("user") == "ann").fill_null(False)
    seen = [row for row in rows if row["user"] == "ann"]
    page = ask(frames_of(rows), sees=sees)
    assert (numbers(page), page.total) == ([row["number"] for row in seen], len(seen))
    assert page.owners == frozenset({"ann"} if seen else ())
    groups = ask(frames_of(rows), ("group_by", "level"), sees=sees)
    assert sum(groups.rows["things"]) == len(seen)


ONE = {
    "number": 2**64 - 1, "user": "ann", "level": "low", "used_cpus": 1.5, "used_ratio": None, "is_open": True,
    "nodes": ["n1", "n2"], "start_timestamp_seconds": 1.7e9 + 0.25, "cpu_coverage_ratio": 0.5, "secret": 7,
}  # fmt: skip
FOUND = [
    {"number": 2**64 - 1, "reason": "idle", "severity": "critical"},
    {"number": 2**64 - 1, "reason": "slow", "severity": "warning"},
]


def test_a_row_has_every_field_and_no_step() -> None:
    page = ask(frames_of([ONE], FOUND))
    (row,) = json.loads(page.rows.write_json())
    assert row == {
        "id": "#18446744073709551615", "number": "18446744073709551615", "user": "ann", "level": "low",
        "used_cpus": 1.5, "used_ratio": None, "is_open": True, "nodes": ["n1", "n2"],
        "start_timestamp_seconds": 1.7e9 + 0.25, "start_time": "2023-11-14T22:13:20.250Z", "coverage": {"cpu": 0.5},
        "findings": [{"reason": "idle", "severity": "critical"}, {"reason": "slow", "severity": "warning"}],
    }  # fmt: skip


def test_fields_come_in_their_order_and_a_coverage_alone_too() -> None:
    asked = ("fields", "start_time,cpu_coverage_ratio,findings,id")
    assert ask(frames_of([ONE]), asked).rows.row(0) == ("2023-11-14T22:13:20.250Z", 0.5, [], "#18446744073709551615")


def test_filters_of_objects_must_hold_of_one_of_them() -> None:
    frames = frames_of([ONE], FOUND)
    assert ask(frames, ("reason", "idle"), ("severity", "critical")).total == 1
    assert ask(frames, ("reason", "idle"), ("severity", "warning")).total == 0


def test_csv_is_the_whole_list_with_objects_as_json() -> None:
    frames = frames_of([ONE, {**ONE, "number": 3, "user": None, "nodes": []}], FOUND)
    query = read_query(LISTED, [("fields", "number,user,nodes,findings"), ("limit", "1"), ("sort", "-number")])
    pieces, owners = pieces_of(query, frames["things"], None, None, frames)
    assert b"".join(pieces).decode().splitlines() == [
        "number,user,nodes,findings",
        '18446744073709551615,ann,"n1,n2","[{""reason"":""idle"",""severity"":""critical""},'
        '{""reason"":""slow"",""severity"":""warning""}]"',
        '3,,"",[]',
    ]
    assert owners == frozenset({"ann"})
    nothing, _ = pieces_of(read_query(LISTED, [("fields", "id")]), frames["things"].clear(), None, None, frames)
    assert list(nothing) == [b"id\n"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ([("usr", "ann")], "usr: no such parameter, did you mean user?"),
        ([("secret", "7")], "secret: no such parameter"),
        ([("min_user", "1")], "min_user: user is no number"),
        ([("min_used_cpu", "1")], "min_used_cpu: no such parameter, did you mean min_used_cpus?"),
        ([("min_used_cpus", "many")], "min_used_cpus: 'many' is not a number"),
        ([("number", "-1")], "number: '-1' is not a number"),
        ([("number", "9" * 30)], "is not a number"),
        ([("is_open", "yes")], "is_open: 'yes' is not true or false"),
        ([("level", "worst")], 'level: must be one of high, low, got "worst"'),
        ([("sort", "usr")], 'sort: no field "usr", did you mean user?'),
        ([("sort", "nodes")], "sort: nodes has several values in a row"),
        ([("sort", "id")], 'sort: no field "id"'),
        ([("fields", "secret")], 'fields: no field "secret"'),
        ([("group_by", "used_cpus")], 'group_by: no field "used_cpus"'),
        ([("group_by", "user"), ("sort", "used_ratio")], 'sort: no field "used_ratio"'),
        ([("limit", "0")], 'limit: must be one number, 1–1000, got "0"'),
        ([("limit", "1"), ("limit", "2")], "limit: must be one number"),
        ([("cursor", "x")], "cursor: must be the next_cursor of an earlier answer of the same path and order"),
    ],
)
def test_a_mistake_is_named(parameters: list[tuple[str, str]], said: str) -> None:
    with pytest.raises(QueryError) as error:
        ask(frames_of([ONE]), *parameters)
    assert said in str(error.value)


def test_a_cursor_of_another_order_is_refused() -> None:
    cursor = ask(frames_of([ONE, {**ONE, "number": 3}]), ("limit", "1")).cursor
    with pytest.raises(QueryError, match="cursor"):
        ask(frames_of([ONE]), ("cursor", cursor), ("sort", "user"))


@pytest.mark.parametrize("name", ["fields", "sort", "group_by", "user", "min_used_cpus"])
def test_what_is_said_twice_is_taken_once(name: str) -> None:
    value = "1" if name == "min_used_cpus" else "user"
    once, twice = (
        ask(frames_of([ONE]), *asked) for asked in ([(name, value)], [(name, f"{value},{value}"), (name, value)])
    )
    assert once.rows.equals(twice.rows)


@given(st.text(), st.text())
def test_no_parameter_does_more_than_be_refused(name: str, value: str) -> None:
    for asked in ((name, value), *((known, value) for known in ("user", "min_used_cpus", "sort", "cursor", "limit"))):
        try:
            ask(frames_of([ONE], FOUND), asked)
        except QueryError as error:
            assert ":" in str(error)
