"""Runs that are not in the snapshot, joined as it is, with what the state has kept of those that have ended."""

from typing import Final

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.keys import JOBS
from aggregator.engine.frame import Frames
from aggregator.engine.part import Before, Inputs, Layout
from aggregator.ledger.totals import no_totals
from aggregator.model.energy import Prices
from aggregator.model.job_inputs import Runs
from aggregator.model.ledger import LedgerTotals, LedgerView
from aggregator.model.view import ClusterView
from aggregator.model.waste import Judgement, NotJudged
from aggregator.parts import energy, jobs
from aggregator.parts.jobs.kept import KEPT, with_kept
from aggregator.state import StateError

# Rules are applied to the snapshot's running jobs only.
RECORDED: Final = Judgement((), (NotJudged("", "it is not among the running jobs"),))
# The parts that say something of them.
RECORDED_LAYOUT: Final = Layout("cluster", (jobs.PART, energy.PART))


async def join_kept(request: web.Request, view: ClusterView, runs: pl.DataFrame) -> tuple[Frames, list[str]]:
    """Join runs (RUNS) with their kept use and what the ledger has of them: `jobs` in the same order, and `job_costs`.

    Without the state, their facts are an answer.
    """
    if runs.is_empty():
        return RECORDED_LAYOUT.empty(), []
    kept, warnings = await read_use(request, view.cluster, runs)
    totals, more = await _read_ledger(request, view.cluster, runs)
    frames = await executors.run(executors.ANSWERS, _join, view, runs, kept, totals)
    return frames, warnings + more


async def read_use(request: web.Request, cluster: str, runs: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Read what the ended ones of runs (RUNS) used, as far as it was kept (KEPT)."""
    try:
        return await request.app[JOBS].summaries(cluster, runs), []
    except StateError as error:
        return pl.DataFrame(schema=KEPT), [f"the use of ended runs is missing: {error}"]


async def _read_ledger(request: web.Request, cluster: str, runs: pl.DataFrame) -> tuple[LedgerTotals, list[str]]:
    try:
        return await request.app[JOBS].ledger(cluster, runs), []
    except StateError as error:
        return no_totals(0.0), [f"the energy of ended runs is missing: {error}"]


def _join(view: ClusterView, runs: pl.DataFrame, kept: pl.DataFrame, totals: LedgerTotals) -> Frames:
    # One may have ended since the snapshot.
    at = max([view.time, *runs["end"].drop_nulls()])
    inputs = Inputs(Runs(runs), Before({"jobs": kept}), LedgerView(view.prices or Prices(), totals))
    joined = RECORDED_LAYOUT.join(inputs, at)
    for error in joined.failed.values():
        raise error
    rows = with_kept(joined.frames["jobs"], kept)
    return {**joined.frames, "jobs": runs.select("run_id").join(rows, on="run_id", maintain_order="left")}
