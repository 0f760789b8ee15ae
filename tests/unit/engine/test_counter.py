"""Counters within a budget: Prometheus counts what it would count without one, whatever is folded and shown again."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.engine.column import Sample, Table
from aggregator.engine.exposition import Folded
from aggregator.engine.frame import Frames, frame_of
from aggregator.engine.part import Layout, Part
from tests.unit.engine.pages import KEYS, OTHER, Page, column, family, page_of, shown_ids

_IDENTITY: Final = (column("id", pl.Int64), column("user", pl.String))
JOBS: Final = Table(
    name="jobs", of="job", collect="jobs", labels=KEYS, size="cpus",
    columns=(
        *_IDENTITY,
        column("cpus", pl.Int64, Sample(family=family("cpus"))),
        column("joules", pl.Float64, Sample(family=family("joules_total"))),
    ),
)  # fmt: skip
COSTS: Final = Table(
    name="costs", of="cost", collect="jobs", labels=KEYS,
    columns=(
        *_IDENTITY, column("kind", pl.String),
        column("amount", pl.Float64, Sample(
            family=family("cost_total", labels=("kind",)), label_columns={"kind": "kind"})),
    ),
)  # fmt: skip
LAYOUT: Final = Layout("cluster", [Part(name="jobs", join=lambda *_: {}, tables=(JOBS, COSTS))])
JOULES, COST = "hpc_job_joules_total", "hpc_job_cost_total"
_FEWER: Final = settings(max_examples=settings.default.max_examples // 2)


def frames_of(rows: Sequence[tuple[int, int, float | None]]) -> Frames:
    """Make the frames of jobs: id, CPUs, joules; each costs its joules once more for each kind that it has."""
    costs = [(job, kind, joules) for job, _, joules in rows for kind in ("power", "cooling")[: job % 3]]
    return {
        "jobs": frame_of(
            JOBS, {"id": _of(rows, 0), "user": _users(rows), "cpus": _of(rows, 1), "joules": _of(rows, 2)}
        ),
        "costs": frame_of(
            COSTS, {"id": _of(costs, 0), "user": _users(costs), "kind": _of(costs, 1), "amount": _of(costs, 2)}
        ),
    }


def _of(rows: Sequence[Any], place: int) -> list[Any]:
    return [row[place] for row in rows]


def _users(rows: Sequence[Any]) -> list[str]:
    return [f"u{row[0] % 3}" for row in rows]


def pages_of(history: Sequence[Frames], limits: Sequence[int]) -> list[Page]:
    pages, folded = [], Folded()
    for frames, limit in zip(history, limits, strict=True):
        page, folded = page_of(LAYOUT, frames, limit, folded)
        pages.append(page)
    return pages


def increases(pages: Sequence[Page], name: str) -> Mapping[tuple[str, ...], float]:
    """Add up what each series of a counter has increased by, as Prometheus does: what falls began at 0."""
    last: dict[tuple[str, ...], float] = {}
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for page in pages:
        for key, value in page.get(name, {}).items():
            before = last.get(key, value)
            found[key[2:]] += value - before if value >= before else value
            last[key] = value
    return {own: increase for own, increase in found.items() if increase}


def others(page: Page, name: str) -> Mapping[tuple[str, ...], float]:
    return {key: value for key, value in page.get(name, {}).items() if key[:2] == OTHER}


# What a job holds and gains between two refreshes: None where nothing is known of it, "anew" where it counts from 0.
_MOMENT: Final = st.tuples(st.integers(0, 9), st.none() | st.just("anew") | st.integers(0, 100))
# A job comes at some refresh, lives for some, and is gone for good.
_LIFE: Final = st.tuples(st.integers(0, 4), st.lists(_MOMENT, max_size=7))
_LIVES: Final = st.lists(_LIFE, min_size=1, max_size=6)


def history(lives: Sequence[tuple[int, Sequence[tuple[int, Any]]]]) -> list[Frames]:
    """Make the frames of some refreshes, and of one more in which nothing has happened."""
    found: list[Frames] = []
    joules: dict[int, float] = {}
    for at in range(max(begin + len(moments) for begin, moments in lives)):
        rows: list[tuple[int, int, float | None]] = []
        for job, (begin, moments) in enumerate(lives):
            if begin <= at < begin + len(moments):
                cpus, gain = moments[at - begin]
                joules[job] = 0.0 if gain == "anew" else joules.get(job, 0.0) + (gain or 0)
                rows.append((job, cpus, None if gain is None else joules[job]))
        found.append(frames_of(rows))
    return [*found, *found[-1:]]


@_FEWER
@given(_LIVES, st.lists(st.integers(1, 7), min_size=13, max_size=13))
def test_prometheus_counts_what_it_would_count_without_a_budget(lives: Any, limits: list[int]) -> None:
    """Jobs come, grow, shrink and go; what they count is unknown at times, or begins anew; limits change.

    Until the limit was first exceeded no more than the refresh before is remembered: nothing may be unknown then.
    """
    moments = history(lives)
    if any(gain is None for _, life in lives for _, gain in life):
        moments, limits = [frames_of([(98, 1, 0.0), (99, 1, 0.0)]), *moments], [1, *limits]
    pages, whole = pages_of(moments, limits[: len(moments)]), pages_of(moments, [100] * len(moments))
    for name in (JOULES, COST):
        assert increases(pages, name) == pytest.approx(increases(whole, name)), name


@_FEWER
@given(_LIVES, st.integers(1, 5))
def test_own_series_show_totals_and_others_never_go_back(lives: Any, limit: int) -> None:
    moments = history(lives)
    pages = pages_of(moments, [limit] * len(moments))
    for page, frames in zip(pages, moments, strict=True):
        totals = {str(row["id"]): row["joules"] for row in frames["jobs"].iter_rows(named=True)}
        own = {key: value for key, value in page.get(JOULES, {}).items() if key[:2] != OTHER}
        assert all(value == totals[key[0]] for key, value in own.items())
        assert len(own) <= limit
    for before, after in pairwise(others(page, JOULES) for page in pages):
        assert all(after.get(key, value) >= value for key, value in before.items())


def _two(first: int, second: int, joules: float) -> Frames:
    return frames_of([(1, first, joules), (2, second, joules)])


def test_a_counter_that_was_folded_stays_so_while_its_row_lives() -> None:
    """Its gauges come back."""
    pages = pages_of([_two(9, 1, 1.0), _two(1, 9, 2.0), _two(9, 1, 4.0), _two(9, 1, 8.0)], [1] * 4)
    assert [shown_ids(page) for page in pages] == [{"1"}, {"2"}, {"1"}, {"1"}]
    assert [page[JOULES] for page in pages] == [
        {("1", "u1"): 1.0, OTHER: 0.0},
        {("2", "u2"): 2.0, OTHER: 2.0},
        {OTHER: 6.0},
        {OTHER: 14.0},
    ]


def test_a_row_that_ends_takes_nothing_from_the_others() -> None:
    pages = pages_of([_two(9, 1, 1.0), _two(9, 1, 3.0), frames_of([(1, 9, 4.0)])], [1] * 3)
    assert [page[JOULES][OTHER] for page in pages] == [0.0, 2.0, 2.0]


def test_the_others_begin_at_0_so_that_what_they_count_is_an_increase() -> None:
    pages = pages_of([_two(9, 1, 1.0), _two(9, 1, 3.0), _two(9, 1, 3.0)], [2, 1, 1])
    assert [page[JOULES].get(OTHER) for page in pages] == [None, 0.0, 2.0]


def test_what_the_others_have_counted_is_shown_when_none_of_them_is_left() -> None:
    costs = [frames_of([(0, 9, None), *rows]) for rows in ([(1, 1, 1.0)], [(1, 1, 3.0)], [])]
    assert [page[COST] for page in pages_of(costs, [2, 1, 1])] == [
        {("1", "u1", "power"): 1.0},
        {(*OTHER, "power"): 0.0},
        {(*OTHER, "power"): 2.0},
    ]


def test_a_refresh_whose_source_fails_forgets_nothing() -> None:
    pages = pages_of([_two(9, 1, 1.0), _two(9, 1, 2.0), LAYOUT.empty(), _two(9, 1, 5.0)], [1] * 4)
    assert JOULES not in pages[2]
    assert pages[3][JOULES] == {("1", "u1"): 5.0, OTHER: 4.0}
