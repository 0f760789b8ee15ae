"""GET …/jobs/history: the finished runs of a time, read from slurmacct in bounded pages."""

import math
from dataclasses import dataclass, replace
from typing import Final

import orjson
import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.cluster_lists import ended_jobs
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, NotFound
from aggregator.api.keys import CLOCK, HISTORY
from aggregator.api.lookup import replica_warnings
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.recorded import RECORDED_LAYOUT, join_kept
from aggregator.api.representation import times
from aggregator.api.selection import JobFilter
from aggregator.api.visibility import Rights, with_children
from aggregator.engine.frame import Frames
from aggregator.model.history import RunKey, Search
from aggregator.model.job_inputs import RUNS
from aggregator.model.view import ClusterView
from aggregator.queries.history import PAGE_ROWS, HistoryPage

WINDOW: Final = ("since", "until", "time")
MAX_WINDOW_SECONDS: Final = 366 * 86_400.0
# A runaway fix can write an end time of 2106; nothing that ends after tomorrow has ended.
_FUTURE_SECONDS: Final = 86_400.0
_ENDED: Final = ended_jobs(RECORDED_LAYOUT)
# An event of a run → the column of RUNS with its time.
_EVENTS: Final = {"ended": "end", "started": "start", "submitted": "submit"}


@dataclass(frozen=True, slots=True)
class Window:
    """The runs of which an event falls in [since, until), epoch seconds, as of `now`."""

    since: float
    until: float
    event: str
    now: float

    def holds(self) -> pl.Expr:
        """Tell of which runs (RUNS) the event falls in it."""
        at = pl.col(_EVENTS[self.event])
        return (at >= self.since) & (at < self.until)

    def ends(self) -> tuple[int, int]:
        """Give the time in which such runs end: what starts later than `since` ends later, and may do so until now."""
        latest = math.ceil(self.now + _FUTURE_SECONDS)
        # The end of an open run is 0.
        return max(1, math.ceil(self.since)), min(math.ceil(self.until), latest) if self.event == "ended" else latest


def read_window(asked: Parameters, now: float) -> Window:
    """Read since, until and time.

    Raises BadData.
    """
    since, until = asked.time("since"), asked.time("until")
    events = asked.choices("time", frozenset(_EVENTS))
    if since is None:
        raise BadData("since: is required")
    until = now if until is None else until
    if not since < until:
        raise BadData("since: must be before until, which is now when it is not given")
    if until - since > MAX_WINDOW_SECONDS:
        raise BadData(f"since: must be at most {MAX_WINDOW_SECONDS / 86_400:g} days before until")
    if len(events) > 1:
        raise BadData("time: must be given once")
    return Window(since, until, next(iter(events), "ended"), now)


async def list_ended(
    request: web.Request, asked: Parameters, view: ClusterView, wanted: JobFilter, rights: Rights
) -> web.Response:
    """Answer with one page of finished runs, the newest end first; an account means those below it too."""
    window = read_window(asked, request.app[CLOCK]())
    after, limit = asked.cursor(int, 3), asked.limit()
    place = None if after is None else (after[0], after[1], after[2])
    wanted = replace(wanted, accounts=with_children(wanted.accounts, view))
    page = await find_ended(request, view, window, wanted, rights, place, limit)
    audit(request, page.runs["user"])
    frames, warnings = await join_kept(request, view, page.runs)
    rows = await executors.run(executors.ANSWERS, _shown, frames)
    data = {
        "jobs": orjson.Fragment(rows.write_json()),
        "next_cursor": write_cursor(*page.last) if page.last else None,
        "examined": page.examined,
        "event": window.event,
        **times("since", window.since),
        **times("until", window.until),
    }
    return success(request, data, [*warnings, *_page_warnings(page, limit), *replica_warnings(request, view.cluster)])


def _shown(frames: Frames) -> pl.DataFrame:
    jobs = frames["jobs"]
    return _ENDED.show(jobs.hstack(_ENDED.lists(jobs, frames)), _ENDED.fields)


async def find_ended(
    request: web.Request,
    view: ClusterView,
    window: Window,
    wanted: JobFilter,
    rights: Rights,
    after: RunKey | None,
    limit: int,
    rows: int = PAGE_ROWS,
) -> HistoryPage:
    """Find the finished runs that are asked for and may be seen.

    Raises FetchError, and NotFound where the cluster has no history.
    """
    queries = request.app[HISTORY]
    if not queries.offers(view.cluster):
        raise NotFound(f'cluster "{view.cluster}": finished runs are not kept')
    users, accounts = _narrow(wanted, rights)
    if users is None:
        return HistoryPage(pl.DataFrame(schema=RUNS), None, 0)
    since, until = window.ends()
    search = Search(since=since, until=until, ids=wanted.ids, arrays=frozenset() if wanted.ids else wanted.arrays)
    if not wanted.ids and not wanted.arrays:
        search = replace(search, uids=await queries.uids(view.cluster, users, accounts))
    shown = window.holds() & wanted.matches() & rights.seen
    return await queries.page(view.cluster, search, shown, after, limit, rows)


def _narrow(wanted: JobFilter, rights: Rights) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Say whose runs to look at, by user and account: nobody is made to page through what others have run.

    The users are None when nothing that is asked for may be seen.
    """
    seen = rights.whole_accounts
    if rights.everything or (seen and rights.user):
        return wanted.users, wanted.accounts
    if seen:
        accounts = wanted.accounts & seen if wanted.accounts else seen
        return (wanted.users if accounts else None), accounts
    own = frozenset({rights.user} if rights.user else ())
    users = wanted.users & own if wanted.users else own
    return users or None, wanted.accounts


def _page_warnings(page: HistoryPage, limit: int) -> list[str]:
    if page.cut:
        return ["there are more runs of these ids and arrays than one read gives: the oldest are missing"]
    if page.last and page.runs.height < limit:
        return [f"the page is short: {page.examined} rows were examined, and next_cursor goes on from there"]
    return []
