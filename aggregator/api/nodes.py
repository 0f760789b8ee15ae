"""GET …/nodes, /nodes/{node} and what is below it, /partitions and /reservations."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from aggregator.api.around_representation import events_json
from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.keys import AROUND, CLOCK, HISTORY, SETTINGS, STORE
from aggregator.api.lookup import find_accounted_cluster
from aggregator.api.node_representation import node_json, partitions_json, reservation_json, run_on_node_json
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.representation import times
from aggregator.api.runs import period_of
from aggregator.api.selection import select_sums
from aggregator.api.series import PARAMETERS, answer_series
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.join.nodestate import State, state_of
from aggregator.join.series import within
from aggregator.model.accounting import Run
from aggregator.model.around import NodeEvent
from aggregator.model.history import Search
from aggregator.model.hostlist import HostlistError, expand_hostlist
from aggregator.model.moment import rfc3339
from aggregator.model.node import NodeView
from aggregator.model.series import Line, Subject
from aggregator.model.view import ClusterView
from aggregator.queries.history import HistoryPage
from aggregator.sources.base import FetchError

MAX_NODES: Final = 100
MAX_EVENTS: Final = 1000
_KINDS: Final = frozenset({"compute", "login", "transfer"})
_JOBS_SECONDS: Final = 2 * 86_400.0
_EVENTS_SECONDS: Final = 30 * 86_400.0
_LONGEST: Final = 366 * 86_400.0
# A state that has just changed is shown after this long.
_STATE_SECONDS: Final = 30
# The newest may be a marker of slurmctld's that says nothing.
_OPEN_EVENTS: Final = 3
_SHOWN: Final = 100
_HIDDEN: Final = "lines of jobs that may not be seen, or have ended, are left out"


@dataclass(frozen=True, slots=True)
class _Looked:
    view: ClusterView
    sight: Sight
    node: NodeView


async def list_nodes(request: web.Request) -> web.Response:
    """Answer with the nodes by name, page by page."""
    asked = Parameters(request, "kind", "state", "node", "limit", "cursor")
    kinds, states = asked.choices("kind", _KINDS), asked.many("state")
    after, limit = asked.cursor(str, 2), asked.limit()
    view = find_accounted_cluster(request, request.app[STORE].current)
    names = view.names.each(asked.many("node"))
    chosen = [node for node in view.hosts if (not kinds or node.kind in kinds) and (not names or node.name in names)]
    warnings = _warnings(request, view)
    if states:
        known = await _states(request, view, chosen, warnings)
        chosen = [node for node in chosen if known[node.name].word in states]
    page, last = select_sums(chosen, lambda node: (node.name, ""), after, limit)
    known = await _states(request, view, page, warnings)
    power = {node.node: node for node in view.nodes}
    rows = [node_json(node, known[node.name], power.get(node.name)) for node in page]
    return success(request, {"nodes": rows, "next_cursor": write_cursor(*last) if last else None}, warnings)


async def get_node(request: web.Request) -> web.Response:
    """Answer with one node and the jobs on it that may be seen."""
    Parameters(request)
    looked = _look(request)
    view, node, now = looked.view, looked.node, request.app[CLOCK]()
    warnings = list(source_warnings(request.app[STORE].current, view.cluster))
    state = (await _states(request, view, [node], warnings))[node.name]
    on_it = [job.run for job in view.jobs if job.run.holds_resources and node.name in job.run.nodes]
    seen = [run for run in on_it if looked.sight.sees_run(run)]
    audit(request, {run.user for run in seen})
    energy = next((each for each in view.nodes if each.node == node.name), None)
    data = {
        **node_json(node, state, energy),
        "running": [run_on_node_json(run, node, now) for run in seen],
        "hidden_jobs": len(on_it) - len(seen),
    }
    return success(request, data, warnings)


async def get_node_jobs(request: web.Request) -> web.Response:
    """Answer with the runs that were on a node in a time, the newest end first; those of others are counted."""
    asked = Parameters(request, "start", "end", "limit", "cursor")
    looked, now = _look(request), request.app[CLOCK]()
    start, end = _range(asked, now, _JOBS_SECONDS)
    after, limit = asked.cursor(int, 3), asked.limit()
    open_ones = [] if after else _open_runs(looked, start, end)
    page = await _ended(request, looked, start, end, after, limit)
    ended = {run.run_id for run in page.runs}
    runs = [*(run for run in open_ones if run.run_id not in ended), *page.runs]
    seen = [run for run in runs if looked.sight.sees_run(run)]
    audit(request, {run.user for run in seen})
    data = {
        "node": looked.node.name,
        **times("start", start),
        **times("end", end),
        "jobs": [run_on_node_json(run, looked.node, now) for run in seen],
        "hidden_jobs": len(runs) - len(seen),
        "next_cursor": write_cursor(*page.last) if page.last else None,
        "examined": page.examined,
    }
    more = ["there is more: go on with next_cursor"] if page.last and len(page.runs) < limit else []
    return success(request, data, more)


async def get_node_events(request: web.Request) -> web.Response:
    """Answer with the times in which a node was not available, merged, and the reasons."""
    asked = Parameters(request, "start", "end")
    looked, now = _look(request), request.app[CLOCK]()
    start, end = _range(asked, now, _EVENTS_SECONDS)
    found = await request.app[AROUND].node_events(looked.view.cluster, [looked.node.name], start, end, MAX_EVENTS)
    if found is None:
        raise NotFound(f'cluster "{looked.view.cluster}": slurmdbd\'s events are not there, or not granted')
    data = {
        "node": looked.node.name, **times("start", start), **times("end", end), "events": events_json(found),
        "complete": not found.cut,
    }  # fmt: skip
    return success(request, data, [f"only the newest {MAX_EVENTS} records were read"] if found.cut else [])


async def get_node_series(request: web.Request) -> web.Response:
    """Answer with a graph of one node or of a host list; the lines of jobs are those of jobs that may be seen.

    Job ids are used anew: to others than the staff a line has points while the run that may be seen was there.
    """
    asked = Parameters(request, *PARAMETERS)
    view, sight = _view(request)
    nodes = _named(view, request.match_info["node"])
    names = tuple(node.name for node in nodes)
    seen = [job.run for job in view.jobs if sight.sees_run(job.run)]
    on_them = {job_id for node in nodes for job_id in node.jobs}
    audit(request, {run.user for run in seen if run.job_id in on_them})
    now = request.app[CLOCK]()

    def show(lines: Sequence[Line]) -> Sequence[Line]:
        return lines if sight.everything else _of_runs(lines, seen, now)

    warnings = [] if sight.everything else [_HIDDEN]
    return await answer_series(request, asked, view, "node", Subject(nodes=names), show, warnings)


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


@of_snapshot
async def list_partitions(request: web.Request) -> web.Response:
    """Answer with what runs and waits in each partition."""
    Parameters(request)
    view = find_accounted_cluster(request, request.app[STORE].current)
    warnings = _warnings(request, view)
    return success(request, {"partitions": partitions_json(view)}, warnings)


async def list_reservations(request: web.Request) -> web.Response:
    """Answer with the reservations that have not ended."""
    Parameters(request)
    view = find_accounted_cluster(request, request.app[STORE].current)
    found = await request.app[AROUND].reservations(view.cluster, request.app[CLOCK]())
    if found is None:
        raise NotFound(f'cluster "{view.cluster}": slurmdbd\'s reservations are not there, or not granted')
    return success(request, {"reservations": [reservation_json(each) for each in found]})


def _view(request: web.Request) -> tuple[ClusterView, Sight]:
    view = find_accounted_cluster(request, request.app[STORE].current)
    return view, sight_of(identity_of(request), request.app[SETTINGS].rules, view)


def _warnings(request: web.Request, view: ClusterView) -> list[str]:
    """Say what is missing, and what of slurmctld's words was put right."""
    repairs = view.scheduler.repairs if view.scheduler else ()
    return [*source_warnings(request.app[STORE].current, view.cluster), *repairs]


def _look(request: web.Request) -> _Looked:
    view, sight = _view(request)
    name = request.match_info["node"]
    wanted = view.names.normalize(name)
    node = next((node for node in view.hosts if node.name == wanted), None)
    if node is None:
        raise _unknown(name, view)
    return _Looked(view, sight, node)


def _named(view: ClusterView, text: str) -> list[NodeView]:
    """Find the nodes that a name or a host list means.

    Raises BadData for too many or none, NotFound naming the first that is not known.
    """
    known = {node.name: node for node in view.hosts}
    if (name := view.names.normalize(text)) in known:
        return [known[name]]
    try:
        names = view.names.each(expand_hostlist(text))
    except HostlistError as error:
        raise BadData(f"node: {error}") from error
    if len(names) > MAX_NODES:
        raise BadData(f"node: {text[:_SHOWN]} means {len(names)} nodes; ask for at most {MAX_NODES} at a time")
    for name in names or (text,):
        if name not in known:
            raise _unknown(name, view)
    return [known[name] for name in names]


def _unknown(name: str, view: ClusterView) -> NotFound:
    return NotFound(f'node "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')


async def _states(
    request: web.Request, view: ClusterView, nodes: Sequence[NodeView], warnings: list[str]
) -> Mapping[str, State]:
    """Give each node's state, with reasons from slurmdbd; when that fails, say so and go on without."""
    at = request.app[CLOCK]() // _STATE_SECONDS * _STATE_SECONDS
    names = [node.name for node in nodes if node.kind == "compute"]
    by_node: dict[str, list[NodeEvent]] | None = None
    try:
        found = (
            await request.app[AROUND].node_events(view.cluster, names, at, at + _STATE_SECONDS, _OPEN_EVENTS)
            if names
            else None
        )
    except FetchError as error:
        found = None
        warnings.append(f"reasons of nodes are missing: {error}")
    if found is not None:
        by_node = {}
        for event in found.events:
            if event.end is None:
                by_node.setdefault(event.node, []).append(event)
    return {node.name: state_of(node, None if by_node is None else by_node.get(node.name, ())) for node in nodes}


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


def _open_runs(looked: _Looked, start: float, end: float) -> list[Run]:
    runs: Iterable[Run] = (job.run for job in looked.view.jobs)
    return [run for run in runs if run.is_open and _was_there(run, looked.node.name, start, end)]


def _was_there(run: Run, node: str, start: float, end: float) -> bool:
    if run.start is None or node not in run.nodes:
        return False
    return run.start < end and (run.end is None or run.end > start)


async def _ended(
    request: web.Request, looked: _Looked, start: float, end: float, after: tuple[int, ...] | None, limit: int
) -> HistoryPage:
    """Read the ended runs of a node: whoever ended since `start`, until now, may have been there before `end`.

    Raises FetchError.
    """
    queries, view = request.app[HISTORY], looked.view
    if not queries.offers(view.cluster):
        return HistoryPage((), None, 0)
    place = None if after is None else (after[0], after[1], after[2])
    search = Search(since=max(1, math.floor(start)), until=math.ceil(request.app[CLOCK]() + 86_400))
    return await queries.page(
        view.cluster, search, lambda run: _was_there(run, looked.node.name, start, end), place, limit
    )
