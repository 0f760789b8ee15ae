"""GET …/clusters/{cluster}/jobs/{job_id}/advice: what the newest run could ask for instead, and what that rests on."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypedDict

from aiohttp import web
from msgspec import Meta

from aggregator import executors
from aggregator.api.answer import Epoch, Time
from aggregator.api.envelope import success
from aggregator.api.errors import ApiError, NotFound
from aggregator.api.history import LISTED
from aggregator.api.jobs import read_job
from aggregator.api.keys import CLOCK, HISTORY, SCRIPT_KEEPER, STORE
from aggregator.api.lookup import find_cluster, rights_in
from aggregator.api.parameters import Parameters
from aggregator.api.recorded import join_kept
from aggregator.api.representation import Json
from aggregator.api.script import read_script
from aggregator.api.series import draw_job
from aggregator.api.series_representation import DrawnGraph
from aggregator.api.unchanged import ONCE, of_snapshot
from aggregator.api.visibility import Rights
from aggregator.join.directives import Change, changes
from aggregator.join.request import LEAST_SECONDS, QUANTILE, Held, Used, Wanted, busy_gpus, wanted
from aggregator.model.job_inputs import runs_of
from aggregator.model.view import ClusterView
from aggregator.queries.scripts import FoundScript
from aggregator.sources.base import FetchError
from aggregator.state import StateError

Row = Mapping[str, Any]
MOST_SIMILAR: Final = 24
_COMPLETED: Final = "completed"
_GRAPH: Final = "gpu_utilization"
_OF_GPUS: Final = ("gpu_unused", "gpu_partly_unused")
# Whose hashes are those of the scripts that the state keeps.
_DELIVERED: Final = "agent"
_UNITS: Final = {"gpus": "gpus", "cpus": "cpus", "memory": "bytes", "time": "seconds"}

NOT_STARTED: Final = "It has not started."
TOO_YOUNG: Final = "It has run for less than half an hour, and the use of no similar run is known."
UNKNOWN: Final = "What it and similar runs have used is not known."
FITS: Final = "What it asks for fits what has been used."


class ChangeShown(TypedDict):
    """A line of the job's script to change, and what that rests on."""

    resource: str
    option: str
    requested: Annotated[str, Meta(description="As the script says it; else what Slurm has given.")]
    suggested: Annotated[str | None, Meta(description="null where the line should go.")]
    why: str
    used: Annotated[float | None, Meta(description="What the runs used, of memory on one node.")]
    unit: str
    quantile: Annotated[float | None, Meta(description="The part of the runs that used no more; null for all.")]
    runs: int


class SimilarShown(TypedDict):
    """An ended run of the same user, name, and script where scripts are known."""

    id: str
    run_id: str
    state: str | None
    end_time: Time
    end_timestamp_seconds: Epoch
    elapsed_seconds: float | None
    granted_cpus: int | None
    granted_gpus: int | None
    granted_memory_bytes: int | None
    cpu_efficiency_ratio: float | None
    memory_efficiency_ratio: float | None
    gpu_efficiency_ratio: float | None


_OF_SIMILAR: Final = tuple(SimilarShown.__annotations__)
# And by what runs of the same script are known.
_READ: Final = (*_OF_SIMILAR, "granted_nodes", "job_id", "array_job_id")


class AdviceShown(TypedDict):
    """Lines to change, or the reason why there are none, and the similar runs of 30 days, the newest first."""

    id: str
    run_id: str
    changes: list[ChangeShown]
    reason: str | None
    runs: Annotated[int, Meta(description="Of so many runs, this one with them, any use is known.")]
    fitted: Annotated[int, Meta(description="For so many of them the changed lines would have been enough.")]
    similar_runs: list[SimilarShown]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What advice is made of, and what is missing of it: similar runs, the newest first, and GPUs ever busy."""

    similar: Sequence[Row]
    script: str
    busy: int | None
    warnings: Sequence[str]


@of_snapshot
async def get_advice(request: web.Request) -> web.Response:
    """Answer with what the newest run that the id means could ask for instead."""
    data, failed, warnings = await read_job(request)
    advice, missing = await read_advice(request, data["runs"][-1])
    response = success(request, advice, [*failed, *missing, *warnings])
    response[ONCE] = bool(failed or missing)
    return response


async def read_advice(request: web.Request, run: Row) -> tuple[Json, list[str]]:
    """Read what is answered for a run of the job in the path, as it is shown, and what is missing of it.

    Raises ApiError.
    """
    found = await _find(request, run)
    better, lines, reason = _advise(run, found)
    return {
        "id": run["id"],
        "run_id": run["run_id"],
        "changes": [_change_json(each) for each in lines],
        "reason": reason,
        "runs": better.runs,
        "fitted": better.fitted,
        "similar_runs": [{name: each[name] for name in _OF_SIMILAR} for each in found.similar],
    }, list(found.warnings)


def _advise(run: Row, found: _Found) -> tuple[Wanted, list[Change], str | None]:
    """Give what would have been enough, the lines to change, and if there are none why."""
    if run["start_timestamp_seconds"] is None or not run["granted_cpus"] or not run["granted_nodes"]:
        return Wanted(), [], NOT_STARTED
    held, is_old_enough = _held(run), (run["elapsed_seconds"] or 0) >= LEAST_SECONDS
    better = wanted(held, [_used(each) for each in (*found.similar, *([run] if is_old_enough else []))], found.busy)
    lines = changes(found.script, held, better)
    reason = FITS if better.runs else UNKNOWN if is_old_enough else TOO_YOUNG
    return better, lines, None if lines else reason


def _held(run: Row) -> Held:
    types = run["granted_gpus_by_type"] or []
    return Held(
        cpus=run["granted_cpus"], memory=run["granted_memory_bytes"] or None, gpus=run["granted_gpus"] or 0,
        nodes=run["granted_nodes"], time_limit=run["time_limit_seconds"],
        gpu_type=types[0]["gpu_type"] if len(types) == 1 else "", elapsed=run["elapsed_seconds"] or 0.0,
        is_timed_out=run["state"] == "timeout", is_memory_fair=run["wasted_memory_bytes"] == 0,
        has_idle_cpus=any(each["resource"] == "cpu" for each in run["waste"]),
    )  # fmt: skip


def _used(run: Row) -> Used:
    """Give what a run, ended or not, has used."""
    cpus, gpus, memory = run["cpu_efficiency_ratio"], run["gpu_efficiency_ratio"], _memory_of_node(run)
    return Used(
        cpus=None if cpus is None else cpus * run["granted_cpus"],
        memory=memory,
        gpus=gpus * run["granted_gpus"] if gpus is not None and run["granted_gpus"] else None,
        seconds=run["elapsed_seconds"] if run["state"] == _COMPLETED else None,
        out_of_memory=run["state"] == "out_of_memory",
    )


def _memory_of_node(run: Row) -> float | None:
    ratio, held, nodes = run["memory_efficiency_ratio"], run["granted_memory_bytes"], run["granted_nodes"]
    if not held or not nodes:
        return None
    if run["state"] == "out_of_memory":
        ratio = max(1.0, ratio or 0.0)
    return None if ratio is None else ratio * held / nodes


def _change_json(change: Change) -> Json:
    enough = change.enough
    return {
        "resource": change.resource,
        "option": change.option,
        "requested": change.old,
        "suggested": change.new or None,
        "why": enough.why,
        "used": enough.used,
        "unit": _UNITS[change.resource],
        "quantile": QUANTILE if enough.is_quantile else None,
        "runs": enough.runs,
    }


async def _find(request: web.Request, run: Row) -> _Found:
    """Read what there is; what cannot be read is told, and advice rests on the rest."""
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    rights = rights_in(request, view)
    (script, of_script), (similar, of_similar), (busy, of_gpus) = await asyncio.gather(
        _read_script(request, run, rights), _read_similar(request, view, run, rights), _read_busy(request, run)
    )
    if script and script.source == _DELIVERED:
        similar = await _of_script(request, view.cluster, similar, script.sha256)
    return _Found(similar=similar, script=_text(script), busy=busy, warnings=[*of_script, *of_similar, *of_gpus])


async def _read_script(request: web.Request, run: Row, rights: Rights) -> tuple[FoundScript | None, list[str]]:
    """Read the script of a run for those who may see it."""
    if not rights.everything and rights.user != run["user"]:
        return None, []
    try:
        script, _, _ = await read_script(request, run["submit_timestamp_seconds"])
    except NotFound:
        return None, []
    except (ApiError, FetchError) as error:
        return None, [f"the job's script is missing: {error}"]
    return script, []


def _text(script: FoundScript | None) -> str:
    return script.content.decode(errors="replace") if script else ""


async def _read_similar(
    request: web.Request, view: ClusterView, run: Row, rights: Rights
) -> tuple[Sequence[Row], list[str]]:
    """Read the last runs of the same user and name that have ended and may be seen, the newest first."""
    queries, now = request.app[HISTORY], request.app[CLOCK]()
    if not run["job_name"] or run["uid"] is None or not queries.has_source(view.cluster):
        return (), []
    try:
        named = await queries.of_name(view.cluster, run["uid"], run["job_name"], now)
    except FetchError as error:
        return (), [f"similar runs are missing: {error}"]
    seen = [each for each in named if rights.sees_run(each) and each.user == run["user"]]
    others = runs_of([each for each in seen if str(each.run_id) != run["run_id"]][:MOST_SIMILAR]).runs
    frames, warnings = await join_kept(request, view, others)
    rows = await executors.run(executors.ANSWERS, LISTED.show, frames["jobs"], frames, _READ)
    return rows.to_dicts(), warnings


async def _of_script(request: web.Request, cluster: str, runs: Sequence[Row], sha256: str) -> Sequence[Row]:
    """Leave out the runs of which another script was delivered than this; without the state nobody can tell."""
    try:
        known = await request.app[SCRIPT_KEEPER].hashes(cluster, set(map(_submitted_as, runs)))
    except StateError:
        return runs
    unknown: Collection[str] = (sha256,)
    return [run for run in runs if sha256 in known.get(_submitted_as(run), unknown)]


def _submitted_as(run: Row) -> int:
    """Give the id that a script is delivered under: the array's for all its tasks."""
    job_id: int = run["array_job_id"] or run["job_id"]
    return job_id


async def _read_busy(request: web.Request, run: Row) -> tuple[int | None, list[str]]:
    """Count the GPUs that a run has ever used, where a rule has found idle ones."""
    if not any(each["reason"] in _OF_GPUS for each in run["waste"]):
        return None, []
    try:
        graphs, _ = await draw_job(request, (_GRAPH,), Parameters(request, {}))
        drawn = graphs.get(_GRAPH)
        if isinstance(drawn, FetchError):
            raise drawn
    except (ApiError, FetchError) as error:
        return None, [f"the use of its GPUs is missing: {error}"]
    return busy_gpus(drawn.lines) if isinstance(drawn, DrawnGraph) else None, []
