"""GET /api/v1/clusters/{cluster}/jobs/{job_id}/script."""

import base64
from collections.abc import Sequence
from typing import TypedDict

from aiohttp import web

from aggregator.api.answer import Epoch, Time
from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound, TryAgain
from aggregator.api.job_filter import read_job_id
from aggregator.api.jobs import unknown_job
from aggregator.api.keys import CLOCK, SCRIPTS, STORE
from aggregator.api.lookup import find_cluster, replica_warnings, rights_in
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json, times
from aggregator.api.runs import live_runs, read_runs
from aggregator.model.accounting import Run
from aggregator.queries.scripts import FoundScript


class ScriptShown(TypedDict):
    """The script of a run."""

    job_id: int
    run_id: str
    script: str
    encoding: str
    size: int | None
    sha256: str
    truncated: bool
    redactions: int | None
    source: str
    submit_time: Time
    submit_timestamp_seconds: Epoch
    written_time: Time
    written_timestamp_seconds: Epoch


async def get_script(request: web.Request) -> web.Response:
    """Answer with the script of a run, to the run's owner and the staff; to others there is no such job."""
    script, told, run = await read_script(request, Parameters(request).time("submitted"))
    if "text/plain" in request.headers.get("Accept", ""):
        return _plain(script)
    more = replica_warnings(request, run.cluster) if script.source == "slurmdbd" else ()
    return success(request, script_json(script, run), [*told, *more])


async def read_script(request: web.Request, submitted: float | None = None) -> tuple[FoundScript, Sequence[str], Run]:
    """Read the script of the run that was submitted then, else of the newest, what to tell of it, and the run.

    Raises ApiError, FetchError.
    """
    text = request.match_info["job_id"]
    asked = read_job_id(text)
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    rights = rights_in(request, view)
    # Without slurmacct nobody knows whose an id was: there is no answer then.
    run = _choose(await read_runs(request, view, asked, rights.sees_script), submitted)
    if run is None:
        raise unknown_job(text, view)
    audit(request, [run.user])
    search = await request.app[SCRIPTS].find(run, lambda wanted: live_runs(view, wanted), request.app[CLOCK]())
    if search.script is None:
        reasons = "; ".join((*search.warnings, *replica_warnings(request, view.cluster)))
        raise TryAgain(reasons) if search.failed else NotFound(f"job {text}: no script is known: {reasons}")
    return search.script, search.warnings, run


def _choose(runs: Sequence[Run], submitted: float | None) -> Run | None:
    """Take the run that was submitted at that time, else the newest."""
    wanted = [run for run in runs if submitted is None or run.submit == submitted]
    return wanted[-1] if wanted else None


def _plain(script: FoundScript) -> web.Response:
    """Answer with the bytes as they are."""
    charset = None if _text(script.content) is None else "utf-8"
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return web.Response(body=script.content, content_type="text/plain", charset=charset, headers=headers)


def script_json(script: FoundScript, run: Run) -> Json:
    """Show a script, as text where it is text."""
    text = _text(script.content)
    return {
        "job_id": run.job_id,
        "run_id": str(run.run_id),
        "script": base64.b64encode(script.content).decode() if text is None else text,
        "encoding": "base64" if text is None else "utf-8",
        "size": script.size,
        "sha256": script.sha256,
        "truncated": script.truncated,
        "redactions": script.redactions,
        "source": script.source,
        **times("submit", run.submit),
        **times("written", script.written_at),
    }


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
