"""Pages of finished runs: every run once, whatever the size of pages and chunks and what arrives meanwhile."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.history import Chunk, OfName, RunKey, Search, run_key
from aggregator.queries.history import HistoryQueries
from aggregator.sources.base import FetchError

EVERYTHING = Search(since=0, until=10**6)


def run(run_id: int, end: int = 10, eligible: int = 5) -> Run:
    return Run(
        cluster="c", run_id=run_id, job_id=run_id % 2**32, user="u", account="a", state=JobState.COMPLETED, submit=1.0,
        eligible=float(eligible), end=float(end),
    )  # fmt: skip


class Reader:
    """Ended runs, `size` to a chunk; counts reads and how many are under way."""

    def __init__(self, runs: list[Run], size: int = 3) -> None:
        self.runs = runs
        self.size = size
        self.reads = 0
        self.at_once = self.most_at_once = 0
        self.error: FetchError | None = None

    async def uids(self, users: frozenset[str], accounts: frozenset[str]) -> frozenset[int] | None:
        self.reads += 1
        return frozenset({7}) if "known" in users else frozenset()

    async def ended(self, search: Search, after: RunKey | None) -> Chunk:
        self.reads += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.error:
            raise self.error
        keyed = sorted(((run_key(each), each) for each in self.runs), key=lambda each: each[0], reverse=True)
        left = [each for each in keyed if after is None or each[0] < after]
        chunk = tuple(left[: self.size])
        return Chunk(chunk, chunk[-1][0] if len(left) > self.size else None, len(chunk))

    async def of_name(self, asked: OfName) -> tuple[Run, ...]:
        self.reads += 1
        return tuple(self.runs)


EVERY_RUN = pl.lit(True)
ODD = pl.col("run_id") % 2 == 1


async def walk(
    reader: Reader, limit: int, wanted: pl.Expr, rows: int, between: Callable[[], None] = lambda: None
) -> list[int]:
    """Give the run ids of all pages."""
    # Each page may be long after the last: nothing of it is cached.
    found: list[int] = []
    after: RunKey | None = None
    while True:
        page = await HistoryQueries({"c": reader}).page("c", EVERYTHING, wanted, after, limit, rows)
        assert page.runs.height <= limit
        assert page.examined <= rows + reader.size
        assert after is None or page.last is None or page.last < after
        found += page.runs["run_id"].to_list()
        after = page.last
        if after is None:
            return found
        between()


Keys = st.sets(st.tuples(st.integers(1, 6), st.integers(0, 3), st.integers(1, 2**64 - 1)), max_size=25)


@given(
    first=Keys, arriving=st.lists(Keys, max_size=5), limit=st.integers(1, 6), size=st.integers(1, 5), odd=st.booleans()
)
async def test_every_run_comes_exactly_once_and_in_order(
    first: set[RunKey], arriving: list[set[RunKey]], limit: int, size: int, odd: bool
) -> None:
    """What arrives between two pages, before or behind the reader, moves nothing else."""

    def make(keys: set[RunKey]) -> list[Run]:
        # A run id is a primary key: there is one run of each.
        unique = {run_id: (end, eligible) for end, eligible, run_id in keys}
        return [run(run_id, *place) for run_id, place in unique.items()]

    reader, late = Reader(make(first), size), list(arriving)
    before = {each.run_id for each in reader.runs if not odd or each.run_id % 2}

    def arrive() -> None:
        known = {each.run_id for each in reader.runs}
        new = {key[-1]: key for key in (late.pop() if late else ()) if key[-1] not in known}
        reader.runs += make(set(new.values()))

    found = await walk(reader, limit, ODD if odd else EVERY_RUN, rows=2 * size, between=arrive)
    known = {each.run_id: run_key(each) for each in reader.runs}
    keys = [known[run_id] for run_id in found]
    assert keys == sorted(set(keys), reverse=True)
    assert before <= set(found)
    assert not odd or all(run_id % 2 for run_id in found)


async def test_a_page_ends_when_its_rows_are_used_up_and_the_next_goes_on() -> None:
    reader = Reader([run(number) for number in range(1, 101)], size=10)
    queries = HistoryQueries({"c": reader})
    page = await queries.page("c", EVERYTHING, pl.col("run_id") == 1, None, 5, rows=30)
    assert (page.runs.height, page.examined) == (0, 30)
    assert page.last == (10, 5, 71)
    rest = await queries.page("c", EVERYTHING, pl.col("run_id") == 1, page.last, 5, rows=1000)
    assert (rest.runs["run_id"].to_list(), rest.last) == ([1], None)


async def test_what_may_not_be_seen_is_neither_counted_nor_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader([run(number) for number in range(1, 10)], size=100)

    async def cut(search: Search, after: RunKey | None) -> Chunk:
        return replace(await Reader.ended(reader, search, after), cut=True)

    monkeypatch.setattr(reader, "ended", cut)
    page = await HistoryQueries({"c": reader}).page(
        "c", EVERYTHING, ODD, None, 9, choose=lambda runs: pl.Series([1, 2])
    )
    assert (page.runs["run_id"].to_list(), page.seen, page.examined, page.cut) == ([7, 5], 5, 9, True)
    page = await HistoryQueries({"c": reader}).page("c", EVERYTHING, pl.lit(False), None, 9)
    assert (page.seen, page.cut) == (0, False)


async def test_a_full_last_page_has_no_next_one() -> None:
    page = await HistoryQueries({"c": Reader([run(1), run(2)])}).page("c", EVERYTHING, EVERY_RUN, None, 2)
    assert (page.runs.height, page.last) == (2, None)


async def test_the_same_page_is_read_once_by_many_and_few_are_read_at_once() -> None:
    reader = Reader([run(1)])
    queries = HistoryQueries({"c": reader})
    await asyncio.gather(*(queries.page("c", EVERYTHING, EVERY_RUN, None, 5) for _ in range(5)))
    assert reader.reads == 1
    others = (Search(since=number, until=10**6) for number in range(1, 9))
    await asyncio.gather(*(queries.page("c", search, EVERY_RUN, None, 5) for search in others))
    assert (reader.reads, reader.most_at_once) == (9, 2)


async def test_an_error_is_told_and_not_kept() -> None:
    reader = Reader([run(1)])
    reader.error = FetchError("clusters.c.slurmacct: down")
    queries = HistoryQueries({"c": reader})
    with pytest.raises(FetchError, match="down"):
        await queries.page("c", EVERYTHING, EVERY_RUN, None, 5)
    reader.error = None
    assert (await queries.page("c", EVERYTHING, EVERY_RUN, None, 5)).runs.height == 1


async def test_uids_are_looked_up_once_and_those_of_nobody_again() -> None:
    reader = Reader([])
    queries = HistoryQueries({"c": reader})
    nobody, known = frozenset[str](), frozenset({"known"})
    assert await queries.uids("c", nobody, nobody) is None
    assert reader.reads == 0
    for _ in range(2):
        assert await queries.uids("c", known, nobody) == {7}
    assert reader.reads == 1
    for _ in range(2):
        assert await queries.uids("c", frozenset({"new"}), nobody) == frozenset()
    assert reader.reads == 3, "a user without a run may have one in a moment"
