"""The runs that a job id means, from slurmacct and the snapshot, as far as a client sees them."""

from collections.abc import Callable, Sequence

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.keys import JOBS
from aggregator.api.selection import means
from aggregator.model.accounting import Run
from aggregator.model.jobid import JobId
from aggregator.model.view import ClusterView


async def live_runs(view: ClusterView, asked: JobId) -> Sequence[Run]:
    """Give those of the snapshot: off the event loop, for they are looked for among all, and an array has many."""
    return await executors.run(executors.ANSWERS, _runs_in, view, means(asked))


def _runs_in(view: ClusterView, chosen: pl.Expr) -> Sequence[Run]:
    """Give the snapshot's runs that are chosen by the columns of `jobs`, one by one."""
    return tuple(view.runs.with_ids(view.frames["jobs"].filter(chosen)["run_id"]))


async def read_runs(request: web.Request, view: ClusterView, asked: JobId, sees: Callable[[Run], bool]) -> list[Run]:
    """Give every run that the id means and that is seen, the oldest first; the snapshot's are newer.

    Raises FetchError.
    """
    runs = {run.run_id: run for run in await request.app[JOBS].runs_of(view.cluster, asked)}
    runs.update((run.run_id, run) for run in await live_runs(view, asked))
    return sorted(filter(sees, runs.values()), key=lambda run: (run.submit, run.run_id))


def period_of(run: Run, now: float) -> tuple[float, float]:
    """Give the first and the last moment of a run that has started."""
    return run.span(now) or (now, now)
