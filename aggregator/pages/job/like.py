"""The user's earlier runs of the same name and script, with what was kept of their use."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.identity import identity_of
from aggregator.api.keys import CLOCK, HISTORY, SCRIPT_KEEPER, SETTINGS, STORE
from aggregator.api.lookup import find_cluster
from aggregator.api.recorded import join_kept
from aggregator.api.visibility import rights_of
from aggregator.join.request import Used
from aggregator.model.history import Search
from aggregator.state import StateError

Row = Mapping[str, Any]
MOST: Final = 24
_SECONDS: Final = 30 * 86_400
# Rows of slurmacct that may be looked at for one page.
_EXAMINED: Final = 2000
_ENDED_BY_ITSELF: Final = ("completed",)


async def read_like(request: web.Request, run: Row) -> Sequence[Row]:
    """Read the last runs of the same user and name that have ended and may be seen, the oldest first.

    Raises FetchError.
    """
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    queries, now = request.app[HISTORY], request.app[CLOCK]()
    if not run["job_name"] or run["uid"] is None or not queries.has_source(view.cluster):
        return ()
    rights = rights_of(identity_of(request), request.app[SETTINGS].rules, view)
    search = Search(since=math.floor(now - _SECONDS), until=math.ceil(now), uids=frozenset({run["uid"]}))
    is_like = (pl.col("job_name") == run["job_name"]) & (pl.col("user") == run["user"])

    def choose(runs: pl.DataFrame) -> pl.Series:
        return runs.with_row_index("place").filter(is_like & (pl.col("run_id") != int(run["run_id"])))["place"]

    page = await queries.page(view.cluster, search, rights.seen, None, MOST, _EXAMINED, choose)
    frames, _ = await join_kept(request, view, page.runs)
    return await executors.run(executors.ANSWERS, _rows, frames["jobs"], page.runs)


async def of_same_script(request: web.Request, runs: Sequence[Row], sha256: str) -> Sequence[Row]:
    """Leave out the runs of which another script was delivered than this; without the state nobody can tell."""
    cluster = request.match_info["cluster"]
    try:
        known = await request.app[SCRIPT_KEEPER].hashes(cluster, {_submitted_as(run) for run in runs})
    except StateError:
        return runs
    return [run for run in runs if sha256 in known.get(_submitted_as(run), (sha256,))]


def _submitted_as(run: Row) -> int:
    """Give the id that a script is delivered under: the array's for all its tasks."""
    job_id: int = run["array_job_id"] or run["job_id"]
    return job_id


def _rows(jobs: pl.DataFrame, runs: pl.DataFrame) -> Sequence[Row]:
    return jobs.reverse().to_dicts() if jobs.height == runs.height else ()


def used_of(run: Row) -> Used:
    """Give what a run, ended or not, has used."""
    cpu, memory = run["cpu_efficiency_ratio"], run["memory_efficiency_ratio"]
    return Used(
        cpus=None if cpu is None else cpu * run["granted_cpus"],
        memory=None if memory is None or run["granted_memory_bytes"] is None else memory * run["granted_memory_bytes"],
        seconds=run["elapsed_seconds"] if run["state"] in _ENDED_BY_ITSELF else None,
        out_of_memory=run["state"] == "out_of_memory",
    )
