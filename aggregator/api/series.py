"""GET …/series of jobs, users, accounts, nodes and clusters: lines over time, as a Prometheus matrix."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, NotFound
from aggregator.api.job_filter import read_job_ids
from aggregator.api.jobs import unknown_job
from aggregator.api.keys import CLOCK, SERIES, STORE
from aggregator.api.lookup import find_cluster, find_seen_cluster, rights_in
from aggregator.api.parameters import Parameters
from aggregator.api.runs import live_runs, period_of, read_runs
from aggregator.api.series_representation import DrawnGraph, drawn_json, graph_json
from aggregator.api.visibility import is_account, memberships
from aggregator.join.series import add_up, within
from aggregator.model.accounting import Run
from aggregator.model.moment import rfc3339
from aggregator.model.series import AvailableGraph, Line, Span, Subject
from aggregator.model.view import ClusterView
from aggregator.queries.series import TooManyPointsError, plan
from aggregator.sources.base import FetchError

MAX_JOBS: Final = 1000
DAY_SECONDS: Final = 86_400.0
_SHOWN: Final = 100


class Scope(Protocol):
    """What has graphs: a cluster, or what has a reader of its own, by the reader's key."""

    @property
    def cluster(self) -> str:
        """Give the reader's key: a cluster's is its name."""
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader of graphs that is no cluster's."""

    cluster: str


@dataclass(frozen=True, slots=True)
class _Job:
    """The newest run of a job id, all of its owner's runs of that id, and who else has had the id."""

    run: Run
    own: tuple[Run, ...]
    strangers: frozenset[str]

    def periods(self, now: float) -> tuple[tuple[float, float], ...]:
        """Give when the owner's runs were on their nodes; clocks that differ make none of them negative."""
        return tuple(period_of(run, now) for run in self.own if run.start is not None)


# What of the lines a client sees.
Show = Callable[[Sequence[Line]], Sequence[Line]]


def _all(lines: Sequence[Line]) -> Sequence[Line]:
    return lines


async def get_job_series(request: web.Request) -> web.Response:
    """Answer with a graph of one run, or of several at once; without `metric` with the graphs that there are.

    Job ids are used anew: a line has points while the job's owner had the id, whatever time is asked for.
    """
    asked = Parameters(request)
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    jobs, warnings = await _read_jobs(request, view, request.match_info["job_id"])
    audit(request, {job.run.user for job in jobs})
    graph = _find_graph(request, asked, view, "job")
    if graph is None:
        return _list_graphs(request, view, "job")
    drawn = await _draw_jobs(request, asked, view, jobs, graph)
    return success(request, drawn_json(drawn), [*warnings, *drawn.warnings])


async def draw_job(
    request: web.Request, names: Sequence[str], asked: Parameters
) -> tuple[dict[str, DrawnGraph | FetchError], list[str]]:
    """Draw those graphs of the job in the path that are available, by name, and say what is missing of its runs.

    One that cannot be read has its error instead. Raises ApiError, FetchError.
    """
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    jobs, warnings = await _read_jobs(request, view, request.match_info["job_id"])
    graphs = request.app[SERIES].available(view.cluster, "job")
    found = [name for name in names if name in graphs and not (graphs[name].of_nodes and len(jobs) > 1)]

    async def draw(name: str) -> DrawnGraph | FetchError:
        try:
            return await _draw_jobs(request, asked, view, jobs, graphs[name])
        except FetchError as error:
            return error

    return dict(zip(found, await asyncio.gather(*map(draw, found)), strict=True)), warnings


async def _draw_jobs(
    request: web.Request, asked: Parameters, view: ClusterView, jobs: Sequence[_Job], graph: AvailableGraph
) -> DrawnGraph:
    """Draw a graph of runs, while their owners had the ids.

    Raises BadData, FetchError.
    """
    if graph.of_nodes and len(jobs) > 1:
        raise BadData(f"metric: {graph.name} is of whole nodes: ask for one job at a time")
    started = [job for job in jobs if job.run.start is not None]
    if not started:
        return DrawnGraph(graph, warnings=("no run has started yet",))
    span = _span_of_jobs(asked, graph, started, request.app[CLOCK]())
    if span is None:
        return DrawnGraph(graph, warnings=("the job did not run within that time",))
    nodes = tuple(dict.fromkeys(node for job in started for node in job.run.nodes))
    is_unknown = graph.of_nodes and not nodes
    subject = Subject(
        jobs=tuple(sorted({job.run.job_id for job in started})),
        nodes=nodes if graph.of_nodes else (),
        # Whoever owns one of the jobs is meant; their runs under another's id are cut off by their times.
        not_of=tuple(sorted({user for job in started for user in job.strangers} - {job.run.user for job in started})),
    )
    periods = {str(job.run.job_id): job.periods(request.app[CLOCK]()) for job in started}

    def show(lines: Sequence[Line]) -> Sequence[Line]:
        every = tuple(chain.from_iterable(periods.values()))
        return [kept for line in lines if (kept := within(line, periods.get(line.labels.get("slurmjobid", ""), every)))]

    more = ("slurmacct does not say on which nodes the job ran",) * is_unknown
    return await _draw(request, view, "job", graph, subject, span, more, show)


@dataclass(frozen=True, slots=True)
class Scene:
    """What graphs are asked of: a kind of thing, which one, and what of its lines a client sees."""

    view: Scope
    kind: str
    subject: Subject
    show: Show = _all


async def get_user_series(request: web.Request) -> web.Response:
    """Answer with a graph of a user's jobs, under the accounts that may be seen."""
    return await _answer_scene(request, user_scene(request))


def user_scene(request: web.Request) -> Scene:
    """Give what is drawn of the user in the path.

    Raises ApiError.
    """
    view, rights = find_seen_cluster(request)
    user = request.match_info["user"]
    if not any(rights.sees_sums(account, user) for account in memberships(view, user)):
        raise NotFound(f'user "{user[:_SHOWN]}": not known on cluster "{view.cluster}"')
    audit(request, (user,))

    def show(lines: Sequence[Line]) -> Sequence[Line]:
        return [line for line in lines if rights.sees_sums(line.labels.get("account", ""), user)]

    return Scene(view, "user", Subject(labels=(("user", user),)), show)


async def get_account_series(request: web.Request) -> web.Response:
    """Answer with a graph of the jobs of an account itself, with a line for each user to those who see their jobs."""
    return await _answer_scene(request, account_scene(request))


def account_scene(request: web.Request) -> Scene:
    """Give what is drawn of the account in the path.

    Raises ApiError.
    """
    view, rights = find_seen_cluster(request)
    account = request.match_info["account"]
    if not is_account(view, account) or not rights.sees_sums(account):
        raise NotFound(f'account "{account[:_SHOWN]}": not known on cluster "{view.cluster}"')

    def show(lines: Sequence[Line]) -> Sequence[Line]:
        users = {line.labels.get("user", "") for line in lines}
        if not all(rights.sees_sums(account, user) for user in users):
            return add_up(lines, "user")
        audit(request, users - {""})
        return lines

    return Scene(view, "account", Subject(labels=(("account", account),)), show)


async def _answer_scene(request: web.Request, scene: Scene) -> web.Response:
    return await answer_series(request, Parameters(request), scene.view, scene.kind, scene.subject, scene.show)


async def draw_scene(
    request: web.Request, scene: Scene, names: Sequence[str], asked: Parameters, seconds: float = DAY_SECONDS
) -> dict[str, DrawnGraph | FetchError]:
    """Draw those graphs of a scene that are available, by name; one that cannot be read has its error instead.

    Raises BadData.
    """
    graphs, now = request.app[SERIES].available(scene.view.cluster, scene.kind), request.app[CLOCK]()

    async def draw(graph: AvailableGraph) -> DrawnGraph | FetchError:
        span = _span(asked, graph, now - seconds, now)
        try:
            return await _draw(request, scene.view, scene.kind, graph, scene.subject, span, (), scene.show)
        except FetchError as error:
            return error

    found = [graphs[name] for name in names if name in graphs]
    drawn = await asyncio.gather(*map(draw, found))
    return {graph.name: each for graph, each in zip(found, drawn, strict=True)}


async def get_cluster_series(request: web.Request) -> web.Response:
    """Answer with a graph of the whole cluster, which all may see; of its accounts those that may be seen."""
    asked = Parameters(request)
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    rights = rights_in(request, view)

    def show(lines: Sequence[Line]) -> Sequence[Line]:
        return [line for line in lines if "account" not in line.labels or rights.sees_sums(line.labels["account"])]

    return await answer_series(request, asked, view, "cluster", Subject(), show)


async def answer_series(
    request: web.Request,
    asked: Parameters,
    view: Scope,
    kind: str,
    subject: Subject,
    show: Show = _all,
    warnings: Sequence[str] = (),
    seconds: float = DAY_SECONDS,
) -> web.Response:
    """Answer for a subject that has no beginning and no end: by default with its last day, or as many seconds."""
    graph = _find_graph(request, asked, view, kind)
    if graph is None:
        return _list_graphs(request, view, kind)
    now = request.app[CLOCK]()
    span = _span(asked, graph, now - seconds, now)
    drawn = await _draw(request, view, kind, graph, subject, span, warnings, show)
    return success(request, drawn_json(drawn), drawn.warnings)


async def _draw(
    request: web.Request,
    view: Scope,
    kind: str,
    graph: AvailableGraph,
    subject: Subject,
    span: Span,
    warnings: Sequence[str],
    show: Show = _all,
) -> DrawnGraph:
    lines = await request.app[SERIES].read(view.cluster, kind, graph.name, subject, span)
    dropped = [f"{count} values dropped: {reason}" for reason, count in sorted(lines.rejected.items())]
    return DrawnGraph(graph, span, tuple(show(lines.lines)), lines.queries, (*warnings, *lines.warnings, *dropped))


async def _read_jobs(request: web.Request, view: ClusterView, text: str) -> tuple[list[_Job], list[str]]:
    """Read the newest run of each id; when slurmacct fails, the snapshot's are better than none.

    Raises BadData, NotFound naming the first id that is not known or not to be seen, FetchError.
    """
    rights = rights_in(request, view)
    found: dict[int, _Job] = {}
    warnings: list[str] = []
    for asked in read_job_ids(text):
        try:
            runs = await read_runs(request, view, asked, lambda _: True)
        except FetchError as error:
            runs = list(await live_runs(view, asked))
            if not any(map(rights.sees_run, runs)):
                raise
            warnings = [f"earlier runs may be missing: {error}"]
        seen = list(filter(rights.sees_run, runs))
        if not seen:
            raise unknown_job(str(asked), view)
        newest = {run.job_id: run for run in seen}
        found.update((job_id, _job_of(run, seen, runs)) for job_id, run in newest.items())
        if len(found) > MAX_JOBS:
            raise BadData(f"job id: {text[:_SHOWN]} means more than {MAX_JOBS} jobs; ask for fewer at a time")
    return list(found.values()), warnings


def _job_of(newest: Run, seen: Sequence[Run], runs: Sequence[Run]) -> _Job:
    job_id, user = newest.job_id, newest.user
    own = tuple(run for run in seen if (run.job_id, run.user) == (job_id, user))
    return _Job(newest, own, frozenset(run.user for run in runs if run.job_id == job_id and run.user != user))


def _find_graph(request: web.Request, asked: Parameters, view: Scope, kind: str) -> AvailableGraph | None:
    """Find the graph that is asked for; None when none is named, which is no reason not to look at what is.

    Raises BadData that names those that there are, or the exporter that it would need.
    """
    name = asked.text("metric")
    if name is None:
        _ = asked.time("start"), asked.time("end"), asked.duration("step")
        return None
    graphs = request.app[SERIES].available(view.cluster, kind)
    if name in graphs:
        return graphs[name]
    exporter = request.app[SERIES].missing(view.cluster, kind).get(name)
    if exporter:
        raise BadData(f"metric: {name} needs clusters.{view.cluster}.exporters.{exporter}, which is not configured")
    known = ", ".join(sorted(graphs)) or "none, for no exporter is configured"
    raise BadData(f'metric: must be one of {known}, got "{name[:_SHOWN]}"')


def _span(asked: Parameters, graph: AvailableGraph, begin: float, end: float) -> Span:
    """Read the range, within [begin, end] by default, and choose the step.

    Raises BadData that names the parameter.
    """
    start, stop = _range(asked, begin, end)
    return _plan(asked, graph, start, stop)


def _span_of_jobs(asked: Parameters, graph: AvailableGraph, jobs: Sequence[_Job], now: float) -> Span | None:
    """Read the range, the newest runs by default, and never beyond the runs; None when there is nothing of it.

    Raises BadData that names the parameter.
    """
    newest = [period_of(job.run, now) for job in jobs]
    start, stop = _range(asked, min(first for first, _ in newest), max(last for _, last in newest))
    periods = [period for job in jobs for period in job.periods(now)]
    start, stop = max(start, min(first for first, _ in periods)), min(stop, max(last for _, last in periods))
    return _plan(asked, graph, start, stop) if start <= stop else None


def _range(asked: Parameters, begin: float, end: float) -> tuple[float, float]:
    """Read the range; what a client did not give is never what is wrong with it.

    Raises BadData when the two that were given are the wrong way round.
    """
    start, stop = asked.time("start"), asked.time("end")
    if start is not None and stop is not None and start > stop:
        raise BadData(f"start: must be before end, got {rfc3339(start)} and {rfc3339(stop)}")
    if start is None:
        start = begin if stop is None or begin <= stop else stop - (end - begin)
    return start, max(start, end) if stop is None else stop


def _plan(asked: Parameters, graph: AvailableGraph, start: float, stop: float) -> Span:
    try:
        return plan(start, stop, asked.duration("step"), graph.interval)
    except TooManyPointsError as error:
        raise BadData(f"step: {error}") from error


def _list_graphs(request: web.Request, view: Scope, kind: str) -> web.Response:
    """List the graphs that may be asked for."""
    graphs = request.app[SERIES].available(view.cluster, kind)
    return success(request, {"metrics": [graph_json(graph) for _, graph in sorted(graphs.items())]})
