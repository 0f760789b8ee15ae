"""GET …/clusters/{cluster}/jobs/{job_id}/explain: how the newest run was judged, and what its numbers are made of."""

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.cluster_lists import JOBS_PATH
from aggregator.api.envelope import success
from aggregator.api.explain_representation import Explained
from aggregator.api.freshness import source_warnings
from aggregator.api.job_filter import read_job_id
from aggregator.api.jobs import read_recorded, unknown_job
from aggregator.api.keys import CLOCK, STORE
from aggregator.api.lists import LISTS
from aggregator.api.lookup import find_cluster, rights_in
from aggregator.api.recorded import RECORDED, join_kept
from aggregator.api.representation import Json
from aggregator.api.selection import means
from aggregator.api.visibility import Rights
from aggregator.engine.few import find
from aggregator.engine.frame import conform
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import runs_of
from aggregator.model.jobid import JobId
from aggregator.model.view import ClusterView


async def get_explanation(request: web.Request) -> web.Response:
    """Answer with what makes every number of the newest run that the id means and that may be seen."""
    return success(request, *await read_explanation(request))


async def read_explanation(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered, and what is missing of it.

    Raises ApiError, FetchError.
    """
    found, warnings = await _explained(request)
    data = await executors.run(executors.ANSWERS, found.json)
    snapshot = request.app[STORE].current
    return data, [*warnings, *source_warnings(snapshot, found.view.cluster)]


async def read_rules(request: web.Request) -> list[Json]:
    """Read how the run was judged, without what makes its numbers.

    Raises ApiError, FetchError.
    """
    found, _ = await _explained(request)
    return await executors.run(executors.ANSWERS, found.rules_json)


async def _explained(request: web.Request) -> tuple[Explained, list[str]]:
    """Find the newest run that the id means and that may be seen.

    Raises ApiError, FetchError.
    """
    text = request.match_info["job_id"]
    asked = read_job_id(text)
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    rights = rights_in(request, view)
    job, recorded, warnings = await _newest(request, view, asked, rights)
    if job.is_empty():
        raise unknown_job(text, view)
    audit(request, job["user"])
    listed, now = request.app[LISTS][JOBS_PATH].of(rights), request.app[CLOCK]()
    return Explained(view, listed, conform(listed.table, job), RECORDED if recorded else None, now), warnings


async def _newest(
    request: web.Request, view: ClusterView, asked: JobId, rights: Rights
) -> tuple[pl.DataFrame, bool, list[str]]:
    """Give the row of the newest run, none where none may be seen, and whether it is not in the snapshot."""
    live = find(view.frames["jobs"], means(asked) & rights.seen)
    recorded, warnings = await read_recorded(request, view.cluster, asked, has_live=not live.is_empty())
    known = frozenset(live["run_id"])
    others = {_age(run): run for run in recorded if rights.sees_run(run) and run.run_id not in known}
    ages = live.select(pl.col("submit_timestamp_seconds").fill_null(0.0), "run_id").rows()
    newest = max([*ages, *others], default=None)
    if newest not in others:
        return live.filter(pl.col("run_id") == (newest or (0.0, 0))[1]), False, warnings
    kept, more = await join_kept(request, view, runs_of([others[newest]]).runs)
    return kept["jobs"], True, [*warnings, *more]


def _age(run: Run) -> tuple[float, int]:
    return max(run.submit, 0.0), run.run_id
