"""GET …/nodes, /nodes/{node} and what is below it, /partitions and /reservations."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypedDict

import polars as pl
from aiohttp import web

from aggregator.api.answer import Period, row
from aggregator.api.audit import audit
from aggregator.api.cluster_lists import RUNS_OF_NODES
from aggregator.api.details_representation import EventShown, events_json
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, NotFound
from aggregator.api.keys import CLOCK, DETAILS, HISTORY
from aggregator.api.lists import LISTS, shown
from aggregator.api.lookup import find_seen_cluster
from aggregator.api.node_lists import NODES_PATH
from aggregator.api.node_representation import on_node_json
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.representation import Json, times
from aggregator.api.runs import period_of
from aggregator.api.series import Scene, answer_series
from aggregator.api.visibility import Rights
from aggregator.join.series import within
from aggregator.model.accounting import Run
from aggregator.model.history import Search
from aggregator.model.hostlist import HostlistError, expand_hostlist
from aggregator.model.job_inputs import RUNS, Runs
from aggregator.model.moment import rfc3339
from aggregator.model.series import Line, Subject
from aggregator.model.view import ClusterView
from aggregator.parts.jobs.rows import plain_rows
from aggregator.parts.owners.sums import HOLDS
from aggregator.queries.history import HistoryPage

MAX_NODES: Final = 100
MAX_EVENTS: Final = 1000
_JOBS_SECONDS: Final = 2 * 86_400.0
_EVENTS_SECONDS: Final = 30 * 86_400.0
_LONGEST: Final = 366 * 86_400.0
_SHOWN: Final = 100
_HIDDEN: Final = "lines of jobs that may not be seen, or have ended, are left out"


@dataclass(frozen=True, slots=True)
class _Looked:
    """The node that is asked for: its row of `nodes`, and those of the runs on it in `node_runs`, by run id."""

    view: ClusterView
    rights: Rights
    node: pl.DataFrame
    runs: Mapping[int, Json]

    @property
    def name(self) -> str:
        return str(self.node["node"].item())


NodeRun = Annotated[Json, row("cluster_jobs", "NodeRunShown")]


class NodeShown(TypedDict):
    """The runs on a node, beside the fields of the list."""

    running: list[NodeRun]
    hidden_jobs: int


class NodeJobsShown(Period):
    """The runs that were on a node."""

    node: str
    jobs: list[NodeRun]
    hidden_jobs: int
    next_cursor: str | None
    examined: int


class NodeEventsShown(Period):
    """When a node was not available."""

    node: str
    events: list[EventShown]
    complete: bool


async def get_node(request: web.Request) -> web.Response:
    """Answer with one node and the jobs on it that may be seen."""
    return success(request, *await read_node(request))


async def read_node(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of the node in the path, and what is missing.

    Raises ApiError, FetchError.
    """
    each = request.app[LISTS][NODES_PATH]
    looked = _look(request)
    view, rights, warnings = await each.look(request)
    (node,) = each.things(view, rights, pl.col("node") == looked.name)
    on_it = _runs(view, HOLDS & pl.col("nodes").list.contains(looked.name)).runs
    seen = on_it.filter(looked.rights.seen)
    audit(request, seen["user"].unique())
    running = _runs_json(looked, seen, request.app[CLOCK]())
    return {**node, "running": running, "hidden_jobs": on_it.height - seen.height}, warnings


async def get_node_jobs(request: web.Request) -> web.Response:
    """Answer with the runs that were on a node in a time, the newest end first; those of others are counted."""
    asked = Parameters(request)
    looked, now = _look(request), request.app[CLOCK]()
    start, end = _range(asked, now, _JOBS_SECONDS)
    after, limit = asked.cursor(int, 3), asked.limit()
    page = await _ended(request, looked, start, end, after, limit)
    open_ones = pl.DataFrame(schema=RUNS) if after else _open_runs(looked, start, end)
    runs = pl.concat([open_ones.join(page.runs, on="run_id", how="anti"), page.runs])
    seen = runs.filter(looked.rights.seen)
    audit(request, seen["user"].unique())
    data = {
        "node": looked.name,
        **times("start", start),
        **times("end", end),
        "jobs": _runs_json(looked, seen, now),
        "hidden_jobs": runs.height - seen.height,
        "next_cursor": write_cursor(*page.last) if page.last else None,
        "examined": page.examined,
    }
    more = ["there is more: go on with next_cursor"] if page.last and page.runs.height < limit else []
    return success(request, data, more)


async def get_node_events(request: web.Request) -> web.Response:
    """Answer with the times in which a node was not available, merged, and the reasons."""
    return success(request, *await read_node_events(request))


async def read_node_events(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered of the events of the node in the path, and what is missing.

    Raises ApiError, FetchError.
    """
    asked = Parameters(request)
    looked, now = _look(request), request.app[CLOCK]()
    start, end = _range(asked, now, _EVENTS_SECONDS)
    found = await request.app[DETAILS].node_events(looked.view.cluster, [looked.name], start, end, MAX_EVENTS)
    if found is None:
        raise NotFound(f'cluster "{looked.view.cluster}": slurmdbd\'s events are not there, or not granted')
    data = {
        "node": looked.name, **times("start", start), **times("end", end), "events": events_json(found),
        "complete": not found.cut,
    }  # fmt: skip
    return data, [f"only the newest {MAX_EVENTS} records were read"] if found.cut else []


async def get_node_series(request: web.Request) -> web.Response:
    """Answer with a graph of one node or of a host list; the lines of jobs are those of jobs that may be seen.

    Job ids are used anew: to others than the staff a line has points while the run that may be seen was there.
    """
    asked = Parameters(request)
    scene, sees_all = node_scene(request)
    warnings = [] if sees_all else [_HIDDEN]
    return await answer_series(request, asked, scene.view, scene.kind, scene.subject, scene.show, warnings)


def node_scene(request: web.Request) -> tuple[Scene, bool]:
    """Give what is drawn of the nodes in the path, and whether lines of all jobs are.

    Raises ApiError.
    """
    view, rights = find_seen_cluster(request)
    names = _named(view, request.match_info["node"])
    on_them = view.frames["node_runs"].filter(pl.col("node").is_in(names))["job_id"]
    audit(request, view.frames["jobs"].filter(rights.seen & pl.col("job_id").is_in(on_them.implode()))["user"].unique())
    now = request.app[CLOCK]()

    def show(lines: Sequence[Line]) -> Sequence[Line]:
        return lines if rights.everything else _of_runs(lines, _runs_of_lines(view, lines, rights), now)

    return Scene(view, "node", Subject(nodes=names), show), rights.everything


def _runs_of_lines(view: ClusterView, lines: Iterable[Line], rights: Rights) -> Runs:
    """Give the runs that may be seen of the jobs that have lines: to make objects of all runs takes seconds."""
    job_ids = {line.labels["slurmjobid"] for line in lines if "slurmjobid" in line.labels}
    return _runs(view, rights.seen & pl.col("job_id").cast(pl.String).is_in(sorted(job_ids)))


def _of_runs(lines: Iterable[Line], runs: Iterable[Run], now: float) -> list[Line]:
    """Keep of the lines of jobs what is of these runs: an id that is used again was somebody else's before."""
    periods: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        if run.start is not None:
            periods.setdefault(str(run.job_id), []).append(period_of(run, now))
    kept = (
        within(line, periods.get(line.labels["slurmjobid"], ())) if "slurmjobid" in line.labels else line
        for line in lines
    )
    return [line for line in kept if line]


def _look(request: web.Request) -> _Looked:
    view, rights = find_seen_cluster(request)
    name = request.match_info["node"]
    is_wanted = pl.col("node") == view.names.normalize(name)
    node, runs = (view.frames[table].filter(is_wanted) for table in ("nodes", "node_runs"))
    if node.is_empty():
        raise _unknown(name, view)
    return _Looked(view, rights, node, {row["run_id"]: row for row in runs.iter_rows(named=True)})


def _named(view: ClusterView, text: str) -> tuple[str, ...]:
    """Find the nodes that a name or a host list means.

    Raises BadData for too many or none, NotFound naming the first that is not known.
    """
    known = frozenset(view.frames["nodes"]["node"])
    if (name := view.names.normalize(text)) in known:
        return (name,)
    try:
        names = view.names.each(expand_hostlist(text))
    except HostlistError as error:
        raise BadData(f"node: {error}") from error
    if len(names) > MAX_NODES:
        raise BadData(f"node: {text[:_SHOWN]} means {len(names)} nodes; ask for at most {MAX_NODES} at a time")
    for name in names or (text,):
        if name not in known:
            raise _unknown(name, view)
    return names


def _unknown(name: str, view: ClusterView) -> NotFound:
    return NotFound(f'node "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')


def _range(asked: Parameters, now: float, seconds: float) -> tuple[float, float]:
    """Read start and end.

    Raises BadData.
    """
    end = asked.time("end")
    end = now if end is None else end
    start = asked.time("start")
    start = end - seconds if start is None else start
    if not start < end:
        raise BadData(f"start: must be before end, got {rfc3339(start)} and {rfc3339(end)}")
    if end - start > _LONGEST:
        raise BadData(f"start: must be at most {_LONGEST / 86_400:g} days before end")
    return start, end


def _open_runs(looked: _Looked, start: float, end: float) -> pl.DataFrame:
    return _runs(looked.view, pl.col("is_open")).runs.filter(_was_there(looked.name, start, end))


def _runs(view: ClusterView, chosen: pl.Expr) -> Runs:
    """Give the snapshot's runs that are chosen by the columns of `jobs`."""
    return view.runs.with_ids(view.frames["jobs"].filter(chosen)["run_id"])


def _runs_json(looked: _Looked, runs: pl.DataFrame, now: float) -> list[Json]:
    (node,) = looked.node.iter_rows(named=True)
    rows = plain_rows(runs, now)
    parts = (
        on_node_json(row, node, looked.runs.get(row["run_id"])) for row in rows.iter_rows(named=True)
    )  # fmt: skip
    return [{**row, **part} for row, part in zip(shown(RUNS_OF_NODES, rows, {}), parts, strict=True)]


def _was_there(node: str, start: float, end: float) -> pl.Expr:
    began, ended = pl.col("start"), pl.col("end")
    return pl.col("nodes").list.contains(node) & (began < end) & (ended.is_null() | (ended > start))


async def _ended(
    request: web.Request, looked: _Looked, start: float, end: float, after: tuple[int, ...] | None, limit: int
) -> HistoryPage:
    """Read the ended runs of a node: whoever ended since `start`, until now, may have been there before `end`.

    Raises FetchError.
    """
    queries, view = request.app[HISTORY], looked.view
    if not queries.has_source(view.cluster):
        return HistoryPage(pl.DataFrame(schema=RUNS), None, 0)
    place = None if after is None else (after[0], after[1], after[2])
    search = Search(since=max(1, math.floor(start)), until=math.ceil(request.app[CLOCK]() + 86_400))
    return await queries.page(view.cluster, search, _was_there(looked.name, start, end), place, limit)
