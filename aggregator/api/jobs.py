"""GET /api/v1/clusters/{cluster}/jobs and /api/v1/clusters/{cluster}/jobs/{job_id}."""

from collections.abc import Iterable, Mapping

from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.energy_representation import job_energy_json
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.identity import identity_of
from aggregator.api.keys import JOBS, SETTINGS, STORE
from aggregator.api.lookup import find_accounted_cluster, find_cluster
from aggregator.api.parameters import Parameters, write_cursor
from aggregator.api.representation import Json, job_json
from aggregator.api.selection import JobFilter, select_jobs
from aggregator.api.visibility import Sight, sight_of
from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import RunLedger
from aggregator.model.jobid import JobId, JobIdError, parse_job_id
from aggregator.model.view import NO_USE, ClusterView, Efficiency, Job, JobUse
from aggregator.model.waste import SEVERITIES, Judgement, NotJudged
from aggregator.sources.base import FetchError
from aggregator.state import StateError

_STATES = frozenset(state.name.lower() for state in JobState)
_SEVERITIES = frozenset[str](SEVERITIES)
# Rules are applied to the snapshot's running jobs only.
_RECORDED = Judgement((), (NotJudged("", "it is not among the running jobs"),))


async def list_jobs(request: web.Request) -> web.Response:
    """Answer with the snapshot's jobs, newest first, page by page."""
    asked = Parameters(request, "user", "account", "state", "partition", "waste", "severity", "limit", "cursor")
    after, limit = asked.cursor(int, 2), asked.limit()
    snapshot = request.app[STORE].current
    view = find_accounted_cluster(request, snapshot)
    wanted = _read_filter(asked, view)
    page, last = select_jobs(view.jobs, _sight(request, view).sees_run, wanted, after, limit)
    audit(request, (job.run.user for job in page))
    data = {
        "jobs": [_job_json(job, view) for job in page],
        "next_cursor": write_cursor(*last) if last else None,
    }
    return success(request, data, list(source_warnings(snapshot, view.cluster)))


async def get_job(request: web.Request) -> web.Response:
    """Answer with every run that the id means, the oldest first."""
    Parameters(request)
    text = request.match_info["job_id"]
    asked = read_job_id(text)
    snapshot = request.app[STORE].current
    view = find_cluster(snapshot, request.match_info["cluster"])
    sight = _sight(request, view)
    live = [job for job in view.jobs if job.run.is_meant_by(asked) and sight.sees_run(job.run)]
    recorded, warnings = await _read_recorded(request, view.cluster, asked, live)
    # What is not to be seen is as what is not there: the same text, the same status.
    recorded = tuple(run for run in recorded if sight.sees_run(run))
    kept, more_warnings = await _read_use(request, view.cluster, recorded)
    totals, ledger_warnings = await _read_ledger(request, view.cluster, recorded)
    jobs = _join_runs(recorded, kept, totals, live)
    if not jobs:
        raise unknown_job(text, view)
    audit(request, (job.run.user for job in jobs))
    data = {"job_id": text, "runs": [_job_json(job, view) for job in jobs]}
    return success(request, data, warnings + more_warnings + ledger_warnings)


def _job_json(job: Job, view: ClusterView) -> Json:
    return {**job_json(job, view.time), "energy": job_energy_json(job, view.prices)}


def _read_filter(asked: Parameters, view: ClusterView) -> JobFilter:
    return JobFilter(
        users=asked.many("user"),
        accounts=asked.many("account"),
        states=frozenset(JobState[name.upper()] for name in asked.choices("state", _STATES)),
        partitions=asked.many("partition"),
        reasons=asked.choices("waste", frozenset(view.rules)),
        severities=asked.choices("severity", _SEVERITIES),
    )


def unknown_job(text: str, view: ClusterView) -> NotFound:
    """Make the answer for a job that there is not, or not for this client."""
    return NotFound(f'job {text}: not known on cluster "{view.cluster}"')


def _sight(request: web.Request, view: ClusterView) -> Sight:
    return sight_of(identity_of(request), request.app[SETTINGS].rules, view)


def read_job_id(text: str) -> JobId:
    """Read a job id from the path.

    Raises BadData.
    """
    try:
        return parse_job_id(text)
    except JobIdError as error:
        raise BadData(str(error)) from error


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


async def _read_use(
    request: web.Request, cluster: str, recorded: tuple[Run, ...]
) -> tuple[Mapping[int, tuple[JobUse, Efficiency]], list[str]]:
    """Read what the ended runs used; without the state, their facts are still an answer."""
    try:
        return await request.app[JOBS].summaries(cluster, recorded), []
    except StateError as error:
        return {}, [f"the use of ended runs is missing: {error}"]


async def _read_ledger(
    request: web.Request, cluster: str, recorded: tuple[Run, ...]
) -> tuple[Mapping[int, RunLedger], list[str]]:
    """Read what the ledger has added up of the ended runs; without the state, their facts are still an answer."""
    try:
        return await request.app[JOBS].ledger(cluster, recorded), []
    except StateError as error:
        return {}, [f"the energy of ended runs is missing: {error}"]


def _join_runs(
    recorded: Iterable[Run],
    kept: Mapping[int, tuple[JobUse, Efficiency]],
    totals: Mapping[int, RunLedger],
    live: Iterable[Job],
) -> list[Job]:
    """Put them together by run; the snapshot's is newer and has the use."""
    jobs = {
        run.run_id: Job(
            run, *kept.get(run.run_id, (NO_USE, Efficiency())), ledger=totals.get(run.run_id), waste=_RECORDED
        )
        for run in recorded
    }
    jobs.update((job.run.run_id, job) for job in live)
    return sorted(jobs.values(), key=lambda job: (job.run.submit, job.run.run_id))
