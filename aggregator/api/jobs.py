"""GET …/clusters/{cluster}/jobs/{job_id}."""

from collections.abc import Mapping, Sequence
from typing import Annotated, NotRequired, TypedDict

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.alerts import AlertShown
from aggregator.api.answer import row
from aggregator.api.audit import audit
from aggregator.api.cluster_lists import JOBS_PATH
from aggregator.api.details_representation import DetailsShown
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.job_filter import read_job_id
from aggregator.api.keys import JOBS, STORE
from aggregator.api.lists import LISTS, shown
from aggregator.api.lookup import find_cluster, rights_in
from aggregator.api.recorded import RECORDED, join_kept
from aggregator.api.representation import FindingShown, Json, NotJudgedShown, waste_json
from aggregator.api.run_details import details_of
from aggregator.api.selection import means
from aggregator.api.unchanged import ONCE, of_snapshot
from aggregator.api.visibility import Rights
from aggregator.engine.few import find
from aggregator.engine.frame import Frames
from aggregator.engine.listed import Listed
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import runs_of
from aggregator.model.jobid import JobId
from aggregator.model.view import ClusterView
from aggregator.model.waste import NO_JUDGEMENT, Judgement
from aggregator.parts.waste.judge import explain_all
from aggregator.parts.waste.observation import Observation
from aggregator.parts.waste.rules import Compiled
from aggregator.sources.base import FetchError


class RunShown(TypedDict):
    """How a run is judged, and its details, beside the fields of the list."""

    waste: list[FindingShown]
    not_judged: list[NotJudgedShown]
    around: DetailsShown | None
    efficiency_source: NotRequired[str]
    alerts: list[AlertShown] | None


class JobShown(TypedDict):
    """Every run that an id means."""

    job_id: str
    runs: list[Annotated[Json, row("cluster_jobs", "RunShown")]]


@of_snapshot
async def get_job(request: web.Request) -> web.Response:
    """Answer with every run that the id means, the oldest first, and the details of the newest of them."""
    data, failed, warnings = await read_job(request)
    response = success(request, data, [*failed, *warnings])
    response[ONCE] = bool(failed)
    return response


async def read_job(request: web.Request) -> tuple[Json, list[str], Sequence[str]]:
    """Read what is answered of the job in the path, what could not be read just now, and the snapshot's warnings.

    Raises ApiError, FetchError.
    """
    text = request.match_info["job_id"]
    asked = read_job_id(text)
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    rights = rights_in(request, view)
    live, live_runs = await executors.run(executors.ANSWERS, _in_snapshot, view, asked, rights)
    recorded, warnings = await read_recorded(request, view.cluster, asked, has_live=not live.is_empty())
    # What is not to be seen is as what is not there: the same text, the same status. The snapshot's is newer.
    newer = frozenset(live["run_id"])
    others = runs_of([run for run in recorded if rights.sees_run(run) and run.run_id not in newer]).runs
    kept, more_warnings = await join_kept(request, view, others)
    jobs = live if others.is_empty() else pl.concat([kept["jobs"], live], how="diagonal")
    if jobs.height > 1:
        jobs = jobs.sort("submit_timestamp_seconds", "run_id")
    if jobs.is_empty():
        raise unknown_job(text, view)
    audit(request, jobs["user"])
    known = {run.run_id: run for run in (*recorded, *live_runs)}
    runs = [known[run_id] for run_id in jobs["run_id"]]
    details, details_warnings = await details_of(request, view.cluster, runs, jobs, rights, readable=not warnings)
    listed = request.app[LISTS][JOBS_PATH].of(rights)
    rows = await executors.run(executors.ANSWERS, _rows, listed, view, jobs, kept, live)
    data = [{**row, **details[run.run_id]} for run, row in zip(runs, rows, strict=True)]
    failed = [*warnings, *more_warnings, *details_warnings]
    return {"job_id": text, "runs": data}, failed, view.warnings


def _in_snapshot(view: ClusterView, asked: JobId, rights: Rights) -> tuple[pl.DataFrame, Sequence[Run]]:
    """Find the runs that are meant and seen among all of the snapshot."""
    live = find(view.frames["jobs"], means(asked) & rights.seen)
    return live, tuple(view.runs.with_ids(live["run_id"]))


def _rows(each: Listed, view: ClusterView, jobs: pl.DataFrame, kept: Frames, live: pl.DataFrame) -> list[Json]:
    """Show runs, of which some are only in slurmacct (kept) and the others in the snapshot."""
    frames = {**view.frames, "job_costs": pl.concat([kept["job_costs"], view.frames["job_costs"]])}
    judgements = {**dict.fromkeys(kept["jobs"]["run_id"], RECORDED), **_judge(view, live)}
    return [
        {**row, **waste_json(judgements.get(run_id, NO_JUDGEMENT))}
        for run_id, row in zip(jobs["run_id"], shown(each, jobs, frames), strict=True)
    ]


def _judge(view: ClusterView, jobs: pl.DataFrame) -> Mapping[int, Judgement]:
    """Say how runs of the snapshot are judged, by run id."""
    compiled, observation = view.context.get(Compiled), view.context.get(Observation)
    return explain_all(jobs, compiled, observation) if compiled and observation else {}


def unknown_job(text: str, view: ClusterView) -> NotFound:
    """Make the answer for a job that there is not, or not for this client."""
    return NotFound(f'job {text}: not known on cluster "{view.cluster}"')


async def read_recorded(
    request: web.Request, cluster: str, asked: JobId, *, has_live: bool
) -> tuple[tuple[Run, ...], list[str]]:
    """Read the runs that slurmacct keeps; when it fails, the snapshot's are better than none."""
    try:
        return await request.app[JOBS].runs_of(cluster, asked), []
    except FetchError as error:
        if not has_live:
            raise
        return (), [f"earlier runs may be missing: {error}"]
