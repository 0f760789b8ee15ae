"""POST /api/v1/clusters/{cluster}/jobscripts and PUT …/jobscripts/{job_id}: scripts as an agent delivers them."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypedDict

from aiohttp import web

from aggregator import executors
from aggregator.api.answer import Epoch, Time
from aggregator.api.audit import audit_change
from aggregator.api.body import read_body, read_json
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, TryAgain
from aggregator.api.job_filter import read_job_id
from aggregator.api.jobscript_batch import MAX_SCRIPT_MIB, Batch, read_batch
from aggregator.api.keys import CLOCK, SCRIPT_KEEPER, STORE
from aggregator.api.lookup import absent
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json, times
from aggregator.api.unbroken import to_the_end
from aggregator.model.jobid import JobId
from aggregator.model.script import ScriptRecord
from aggregator.state import StateError

MAX_BATCH_MIB = 16
_SHOWN_JOBS = 10


class WrittenShown(TypedDict):
    """A script that is kept."""

    job_id: int
    sha256: str
    size: int
    written_time: Time
    written_timestamp_seconds: Epoch


class StoredShown(TypedDict):
    """A script of a batch that is kept."""

    job_id: int
    written_at: float
    sha256: str


class RejectedShown(TypedDict):
    """A script that is not kept, and why."""

    job_id: int | None
    sha256: str | None
    error: str


class DeliveredShown(TypedDict):
    """What became of a batch."""

    stored: list[StoredShown]
    rejected: list[RejectedShown]


async def post_scripts(request: web.Request) -> web.Response:
    """Keep a batch of scripts; tell for each whether it was kept or what is wrong with it."""
    cluster = _cluster(request)
    body = await read_json(request, MAX_BATCH_MIB)
    # Hashing and decoding 16 MiB would hold up every other request.
    batch: Batch = await executors.run(executors.ANSWERS, read_batch, body)
    await to_the_end(_save(request, cluster, batch.scripts, lambda _: f"stored, {len(batch.rejected)} more rejected"))
    stored = [
        {"job_id": record.job_id, "written_at": record.written_at, "sha256": record.sha256}
        for record, _ in batch.scripts
    ]
    return success(request, {"stored": stored, "rejected": batch.rejected})


async def put_script(request: web.Request) -> web.Response:
    """Keep one script, whose bytes are the body: 201 when it is new, 200 when it was there."""
    written_at = Parameters(request).time("written_at")
    cluster = _cluster(request)
    job_id = _job_id(request)
    content = await read_body(request, MAX_SCRIPT_MIB)
    if not content:
        raise BadData("the body: must be the script, got nothing")
    sha256 = await executors.run(executors.ANSWERS, lambda: hashlib.sha256(content).hexdigest())
    if written_at is None:
        written_at = await _time_of_same(request, cluster, job_id, sha256)
    record = ScriptRecord(job_id=job_id, written_at=written_at, sha256=sha256, size=len(content))
    new = await to_the_end(_save(request, cluster, [(record, content)], lambda new: "stored" if new else "was there"))
    response = success(request, _record_json(record))
    response.set_status(201 if new else 200)
    return response


def _cluster(request: web.Request) -> str:
    """Give the configured cluster of the path; who may only deliver to one is not told of the others."""
    name = request.match_info["cluster"]
    snapshot = request.app[STORE].current
    if name not in snapshot.clusters:
        raise absent(snapshot, f'cluster "{name[:100]}" is not configured here')
    return name


def _job_id(request: web.Request) -> int:
    asked = read_job_id(request.match_info["job_id"])
    if asked != JobId(asked.job_id) or asked.job_id == 0:
        raise BadData("job id: must be the plain number under which slurmctld keeps the script")
    return asked.job_id


async def _time_of_same(request: web.Request, cluster: str, job_id: int, sha256: str) -> float:
    """Give the time of the job's newest script when it is this one, so that sending it again adds nothing; else now."""
    try:
        records = await request.app[SCRIPT_KEEPER].of_job(cluster, job_id)
    except StateError as error:
        raise TryAgain(str(error)) from error
    same = bool(records) and records[0].sha256 == sha256
    return records[0].written_at if same else request.app[CLOCK]()


async def _save(
    request: web.Request, cluster: str, scripts: Sequence[tuple[ScriptRecord, bytes]], outcome: Callable[[bool], str]
) -> bool:
    """Keep scripts and log it, in words for whether any is new; tell whether any is.

    Raises TryAgain.
    """
    try:
        new = bool(await request.app[SCRIPT_KEEPER].save(cluster, scripts, request.app[CLOCK]()))
    except StateError as error:
        raise TryAgain(str(error)) from error
    _audit(request, [record for record, _ in scripts], outcome(new))
    return new


def _audit(request: web.Request, records: Sequence[ScriptRecord], outcome: str) -> None:
    """Log a delivery: one line, whatever the number of scripts."""
    jobs = [record.job_id for record in records[:_SHOWN_JOBS]]
    more = f" and {len(records) - _SHOWN_JOBS} more" if len(records) > _SHOWN_JOBS else ""
    audit_change(request, f"scripts of jobs {jobs}{more}", outcome)


def _record_json(record: ScriptRecord) -> Json:
    return {
        "job_id": record.job_id,
        "sha256": record.sha256,
        "size": record.size,
        **times("written", record.written_at),
    }
