"""GET …/jobs/history: the finished runs of a time by the grammar of lists, read from slurmacct within bounds.

In the order of their ends they are read page by page. Another order, groups, CSV, and filters by what the state has
kept need all runs of the time: then as many are read as one request may examine, the newest.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.answer import Period
from aggregator.api.audit import audit
from aggregator.api.cluster_lists import MAX_IDS, accounts_asked, ids_asked, listed_jobs
from aggregator.api.envelope import success_rows
from aggregator.api.errors import BadData, NotFound
from aggregator.api.keys import CLOCK, HISTORY, USAGE
from aggregator.api.lists import asked_of, mistakes_told, send_csv, wants_csv
from aggregator.api.lookup import find_seen_cluster, replica_warnings
from aggregator.api.parameters import Parameters
from aggregator.api.recorded import RECORDED_LAYOUT, join_kept
from aggregator.api.representation import Json, times
from aggregator.api.visibility import Rights
from aggregator.engine.frame import Frames
from aggregator.engine.listed import Listed
from aggregator.engine.query import ListPage, ListQuery, find_rows, page_of, pieces_of, write_cursor
from aggregator.model.calendar import Calendar
from aggregator.model.history import RunKey, Search
from aggregator.model.job_inputs import RUNS, Runs
from aggregator.model.moment import rfc3339
from aggregator.model.view import ClusterView
from aggregator.parts.jobs.columns import JOB_GPUS, JOBS
from aggregator.parts.jobs.history import OF_GROUPS, OF_HISTORY, add_history
from aggregator.parts.jobs.kept import KEPT
from aggregator.parts.jobs.rows import job_gpus, plain_rows
from aggregator.queries.history import PAGE_ROWS, WHOLE_ROWS, HistoryPage
from aggregator.queries.usage import NoUsage

# A page of rows, or a CSV in pieces and whose rows they are.
_Made = ListPage | tuple[Iterator[bytes], frozenset[str]]
MAX_WINDOW_SECONDS: Final = 366 * 86_400.0
# A runaway fix can write an end time of 2106; nothing that ends after tomorrow has ended.
_FUTURE_SECONDS: Final = 86_400.0
# An event of a run → the column of RUNS with its time.
_EVENTS: Final = {"ended": "end", "started": "start", "submitted": "submit"}


def _listed() -> Listed:
    jobs = listed_jobs(RECORDED_LAYOUT)
    table = replace(jobs.table, columns=(*jobs.table.columns, *OF_HISTORY))
    order = ("-end_timestamp_seconds", "-eligible_timestamp_seconds", "-run_id")
    return replace(jobs, table=table, order=order, of_groups=OF_GROUPS, words=("start", "end", "time"))


LISTED: Final = _listed()
# What slurmacct alone tells; the state has kept the rest.
_FACTS: Final = (JOBS.schema.keys() - KEPT.keys()) | {"run_id", *(column.name for column in OF_HISTORY)}
_OF_GPUS: Final = {name for each in LISTED.nested if each.table is JOB_GPUS for name in each.columns}


class HistoryShown(Period):
    """What was looked at, beside what every list says."""

    time: str
    time_zone: str
    examined: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Window:
    """The runs of which an event falls in [start, end), epoch seconds, as of `now`."""

    start: float
    end: float
    event: str
    now: float

    def holds(self) -> pl.Expr:
        """Tell of which runs (RUNS) the event falls in it."""
        at = pl.col(_EVENTS[self.event])
        return (at >= self.start) & (at < self.end)

    def ends(self) -> tuple[int, int]:
        """Give the time in which such runs end: what starts later than `start` ends later, and may do so until now."""
        latest = math.ceil(self.now + _FUTURE_SECONDS)
        # The end of an open run is 0.
        return max(1, math.ceil(self.start)), min(math.ceil(self.end), latest) if self.event == "ended" else latest


def read_window(asked: Parameters, now: float) -> Window:
    """Read start, end and time.

    Raises BadData.
    """
    start, end = asked.time("start"), asked.time("end")
    event = asked.choice("time", frozenset(_EVENTS)) or "ended"
    if start is None:
        raise BadData("start: is required")
    end = now if end is None else end
    if not start < end:
        raise BadData("start: must be before end, which is now when it is not given")
    if end - start > MAX_WINDOW_SECONDS:
        raise BadData(f"start: must be at most {MAX_WINDOW_SECONDS / 86_400:g} days before end")
    return Window(start, end, event, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked for, and by which clock its days are."""

    view: ClusterView
    rights: Rights
    window: Window
    query: ListQuery
    calendar: Calendar

    @property
    def early(self) -> ListQuery:
        """Give the part of it that slurmacct's rows tell."""
        filters = {name: values for name, values in self.query.filters.items() if _is_early(name)}
        return replace(self.query, filters=filters)

    @property
    def is_of_pages(self) -> bool:
        """Tell whether a page needs no more than the rows before and on it."""
        is_in_order = tuple(map(str, self.query.sort)) == LISTED.order
        return is_in_order and all(map(_is_early, self.query.filters))

    @property
    def search(self) -> Search:
        """Say what is read, users apart."""
        since, until = self.window.ends()
        ids, arrays = ids_asked(self.query.filters), self.query.filters.get("array_job_id", ())
        by_array = map(int, () if ids or len(arrays) > MAX_IDS else arrays)
        return Search(since=since, until=until, ids=frozenset(ids), arrays=frozenset(by_array))

    def choose(self, runs: pl.DataFrame) -> pl.Series:
        """Give the numbers of the runs (RUNS) that are asked for, as far as slurmacct tells."""
        found, early = runs.with_row_index("row").filter(self.window.holds()), self.early
        if early.filters:
            rows = plain_rows(found, math.inf)
            frames = {JOB_GPUS.name: job_gpus(rows, Runs(found).gpus)}
            found = found[find_rows(early, self.with_history(rows, found), None, self.view, frames)]
        return found["row"]

    def with_history(self, jobs: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
        """Add what a history has beside `jobs`."""
        return add_history(jobs, runs, _EVENTS[self.window.event], self.calendar)

    def frame(self, runs: pl.DataFrame, frames: Frames) -> pl.DataFrame:
        """Give the rows of runs in the list's order, with what belongs to each."""
        jobs = self.with_history(frames["jobs"], runs)
        return jobs.sort([name.removeprefix("-") for name in LISTED.order], descending=True, nulls_last=True)

    @property
    def owners(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Say whose runs to look at, by users and accounts: nobody is made to page through what others have run.

        Without any, nothing that is asked for may be seen.
        """
        users, accounts = frozenset(self.query.filters.get("user", ())), accounts_asked(self.view, self.query.filters)
        if self.rights.everything:
            return [(users, accounts)]
        own = frozenset({self.rights.user} if self.rights.user else ())
        own, seen = users & own if users else own, self.rights.whole_accounts
        seen = accounts & seen if accounts else seen
        return [*([(own, accounts)] if own else []), *([(users, seen)] if seen else [])]


async def list_ended_jobs(request: web.Request) -> web.StreamResponse:
    """Answer with finished runs: with one page of them, or with what is made of all that a time has."""
    asked, as_csv = await _read(request), wants_csv(request)
    if asked.is_of_pages and not as_csv:
        return await _answer_page(request, asked)
    make: Callable[..., _Made] = pieces_of if as_csv else page_of
    # Whoever is slow to take the answer has left the turn to others.
    async with request.app[HISTORY].of_whole_times:
        page, warnings, made = await _whole(request, asked, make)
    if isinstance(made, ListPage):
        return _answer(request, asked, page, made, warnings, truncated=bool(page.last) or page.cut)
    return await send_csv(request, asked.view.cluster, "jobs-history", *made, warnings)


async def read_groups(request: web.Request, query: Mapping[str, str]) -> tuple[Sequence[Json], list[str]]:
    """Read what the runs of a time come to, by a query of the list that has `group_by`, and what is missing.

    Raises ApiError, FetchError.
    """
    asked = await _read(request, query)
    async with request.app[HISTORY].of_whole_times:
        _, warnings, made = await _whole(request, asked, page_of)
    assert isinstance(made, ListPage)
    audit(request, made.owners)
    return made.rows.to_dicts(), warnings


async def _whole(
    request: web.Request, asked: _Asked, make: Callable[..., _Made]
) -> tuple[HistoryPage, list[str], _Made]:
    """Make something of all that the time has, as far as it may be examined."""
    page = await _find(request, asked, None, WHOLE_ROWS, WHOLE_ROWS)
    frames, warnings = await join_kept(request, asked.view, page.runs)
    warnings += [*_cut_warnings(page), *replica_warnings(request, asked.view.cluster)]

    def made() -> _Made:
        return make(asked.query, asked.frame(page.runs, frames), None, asked.view, frames)

    return page, warnings, await executors.run(executors.ANSWERS, made)


async def _answer_page(request: web.Request, asked: _Asked) -> web.Response:
    """Answer with the runs after the cursor, the newest end first; there is no count of all."""
    query = asked.query
    page = await _find(request, asked, _key(query.after), query.limit, PAGE_ROWS)
    frames, warnings = await join_kept(request, asked.view, page.runs)
    if page.last and page.runs.height < query.limit:
        warnings.append(f"the page is short: {page.seen} rows were examined, and next_cursor goes on from there")
    elif page.cut:
        warnings += _cut_warnings(page)
    warnings += replica_warnings(request, asked.view.cluster)
    frame = await executors.run(executors.ANSWERS, asked.frame, page.runs, frames)
    rows = await executors.run(executors.ANSWERS, LISTED.show, frame, frames, query.fields)
    cursor = write_cursor(query.sort, page.last) if page.last else ""
    shown = ListPage(rows, None, cursor, frozenset(page.runs["user"]))
    return _answer(request, asked, page, shown, warnings, truncated=page.cut)


def _answer(
    request: web.Request,
    asked: _Asked,
    page: HistoryPage,
    shown: ListPage,
    warnings: Sequence[str],
    *,
    truncated: bool,
) -> web.Response:
    audit(request, shown.owners)
    window = asked.window
    also = {
        "time": window.event, **times("start", window.start), **times("end", window.end),
        "time_zone": asked.calendar.name, "examined": page.seen, "truncated": truncated,
    }  # fmt: skip
    return success_rows(request, LISTED.name, shown, warnings, also)


async def _read(request: web.Request, asked: Mapping[str, str] | None = None) -> _Asked:
    """Read what is asked for, all of it before anything is looked at.

    Raises BadData, FetchError, and NotFound where the cluster has no history.
    """
    view, rights = find_seen_cluster(request)
    query = asked_of(request, LISTED, asked)
    with mistakes_told():
        find_rows(query, pl.DataFrame(schema=LISTED.table.schema), None, view, RECORDED_LAYOUT.empty())
    window = read_window(Parameters(request, asked), request.app[CLOCK]())
    if not request.app[HISTORY].has_source(view.cluster):
        raise NotFound(f'cluster "{view.cluster}": finished runs are not kept')
    calendar = await _calendar(request, view.cluster)
    return _Asked(view=view, rights=_rights_to(query, rights), window=window, query=query, calendar=calendar)


def _rights_to(query: ListQuery, rights: Rights) -> Rights:
    """Let who sees an account's sums add up all of its runs: its row alone, with no filter that picks some of them."""
    accounts = query.filters.get("account", ())
    is_of_all = query.group == ("account",) and query.filters.keys() == {"account"} and len(accounts) == 1
    return replace(rights, accounts=rights.accounts | {*filter(rights.sees_sums, accounts)}) if is_of_all else rights


async def _calendar(request: web.Request, cluster: str) -> Calendar:
    """Give the clock of the cluster's usage, UTC where there is none.

    Raises FetchError.
    """
    try:
        return (await request.app[USAGE].catalog(cluster)).calendar
    except NoUsage:
        return Calendar()


def _key(after: Sequence[Any] | None) -> RunKey | None:
    """Give the place in slurmacct that a cursor marks, which anybody may have made.

    Raises BadData.
    """
    if after is None:
        return None
    if not all(value is not None and 0 <= value < 2**64 for value in after):
        raise BadData("cursor: must be the next_cursor of an earlier answer of the same path and order")
    end, eligible, run_id = map(int, after)
    return end, eligible, run_id


async def _find(request: web.Request, asked: _Asked, after: RunKey | None, limit: int, rows: int) -> HistoryPage:
    """Find the finished runs that are asked for and may be seen.

    Raises FetchError.
    """
    queries, cluster, search = request.app[HISTORY], asked.view.cluster, asked.search
    if not asked.owners:
        return HistoryPage(pl.DataFrame(schema=RUNS), None, 0)
    if not search.ids and not search.arrays:
        found = [await queries.uids(cluster, users, accounts) for users, accounts in asked.owners]
        uids = [each for each in found if each is not None]
        search = replace(search, uids=frozenset().union(*uids) if len(uids) == len(found) else None)
    return await queries.page(cluster, search, asked.rights.seen, after, limit, rows, asked.choose)


def _cut_warnings(page: HistoryPage) -> list[str]:
    if page.last:
        until = rfc3339(page.last[0])
        return [f"truncated: {page.seen} rows were examined; the oldest, which ended by {until}, are missing"]
    return ["truncated: there are more runs of these ids than one read gives; the oldest are missing"] * page.cut


def _is_early(name: str) -> bool:
    column = name.removeprefix("min_").removeprefix("max_")
    return column in _FACTS or name in LISTED.conditions or name in _OF_GPUS
