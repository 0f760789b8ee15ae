"""GET /api/v1/clusters/{cluster}/jobs and /api/v1/clusters/{cluster}/jobs/{job_id}."""

from collections.abc import Iterable

from aiohttp import web

from aggregator.api.around import around_of
from aggregator.api.audit import audit
from aggregator.api.energy_representation import joined_job_json
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.history import WINDOW, list_ended
from aggregator.api.identity import identity_of
from aggregator.api.job_filter import FILTERS, read_filter, read_job_id
from aggregator.api.keys import JOBS, SETTINGS, STORE
from aggregator.api.lookup import find_accounted_cluster, find_cluster
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.recorded import join_kept
from aggregator.api.selection import select_jobs
from aggregator.api.unchanged import of_snapshot
from aggregator.api.visibility import Sight, sight_of
from aggregator.model.accounting import Run
from aggregator.model.jobid import JobId
from aggregator.model.view import ClusterView, Job
from aggregator.sources.base import FetchError


async def list_jobs(request: web.Request) -> web.Response:
    """Answer with the snapshot's jobs, newest first, or with the finished runs of a time, page by page."""
    return await (_list_ended if any(name in request.query for name in WINDOW) else _list_known)(request)


async def _list_ended(request: web.Request) -> web.Response:
    asked = Parameters(request, *FILTERS, *WINDOW, "limit", "cursor")
    view = find_accounted_cluster(request, request.app[STORE].current)
    return await list_ended(request, asked, view, read_filter(asked, view), _sight(request, view))


@of_snapshot
async def _list_known(request: web.Request) -> web.Response:
    asked = Parameters(request, *FILTERS, *WINDOW, "limit", "cursor")
    snapshot = request.app[STORE].current
    view = find_accounted_cluster(request, snapshot)
    wanted, sight = read_filter(asked, view), _sight(request, view)
    page, last = select_jobs(view.jobs, sight.sees_run, wanted, asked.cursor(int, 2), asked.limit())
    audit(request, (job.run.user for job in page))
    data = {
        "jobs": [joined_job_json(job, view) for job in page],
        "next_cursor": write_cursor(*last) if last else None,
    }
    return success(request, data, list(source_warnings(snapshot, view.cluster)))


async def get_job(request: web.Request) -> web.Response:
    """Answer with every run that the id means, the oldest first, and what is around the newest of them."""
    Parameters(request)
    text = request.match_info["job_id"]
    asked = read_job_id(text)
    snapshot = request.app[STORE].current
    view = find_cluster(snapshot, request.match_info["cluster"])
    sight = _sight(request, view)
    live = [job for job in view.jobs if job.run.is_meant_by(asked) and sight.sees_run(job.run)]
    recorded, warnings = await _read_recorded(request, view.cluster, asked, live)
    # What is not to be seen is as what is not there: the same text, the same status.
    kept, more_warnings = await join_kept(request, view.cluster, [run for run in recorded if sight.sees_run(run)])
    jobs = _join_runs(kept, live)
    if not jobs:
        raise unknown_job(text, view)
    audit(request, (job.run.user for job in jobs))
    around, around_warnings = await around_of(request, view.cluster, jobs, sight, readable=not warnings)
    runs = [{**joined_job_json(job, view), **around[job.run.run_id]} for job in jobs]
    warnings += [*more_warnings, *around_warnings, *view.warnings]
    return success(request, {"job_id": text, "runs": runs}, warnings)


def unknown_job(text: str, view: ClusterView) -> NotFound:
    """Make the answer for a job that there is not, or not for this client."""
    return NotFound(f'job {text}: not known on cluster "{view.cluster}"')


def _sight(request: web.Request, view: ClusterView) -> Sight:
    return sight_of(identity_of(request), request.app[SETTINGS].rules, view)


async def _read_recorded(
    request: web.Request, cluster: str, asked: JobId, live: list[Job]
) -> tuple[tuple[Run, ...], list[str]]:
    """Read the runs that slurmacct keeps; when it fails, the snapshot's are better than none."""
    try:
        return await request.app[JOBS].runs_of(cluster, asked), []
    except FetchError as error:
        if not live:
            raise
        return (), [f"earlier runs may be missing: {error}"]


def _join_runs(recorded: Iterable[Job], live: Iterable[Job]) -> list[Job]:
    """Put them together by run; the snapshot's is newer and has the use."""
    jobs = {job.run.run_id: job for job in recorded}
    jobs.update((job.run.run_id, job) for job in live)
    return sorted(jobs.values(), key=lambda job: (job.run.submit, job.run.run_id))
