"""Ended runs joined with what the state has kept of them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from aiohttp import web

from aggregator.api.keys import JOBS
from aggregator.join.efficiency import FairShare, efficiency
from aggregator.model.accounting import Run
from aggregator.model.energy import RunLedger
from aggregator.model.view import NO_USE, Efficiency, Job, JobUse
from aggregator.model.waste import Judgement, NotJudged
from aggregator.state import StateError

# Rules are applied to the snapshot's running jobs only.
_RECORDED: Final = Judgement((), (NotJudged("", "it is not among the running jobs"),))
Kept = Mapping[int, tuple[JobUse, Efficiency]]


async def join_kept(request: web.Request, cluster: str, runs: Collection[Run]) -> tuple[list[Job], list[str]]:
    """Join runs with their kept use and what the ledger has of them; without the state, their facts are an answer."""
    kept, warnings = await read_use(request, cluster, runs)
    totals, more = await _read_ledger(request, cluster, runs)
    return list(_join(runs, kept, totals)), warnings + more


async def read_use(request: web.Request, cluster: str, runs: Collection[Run]) -> tuple[Kept, list[str]]:
    """Read what the ended runs used, as far as it was kept."""
    try:
        return await request.app[JOBS].summaries(cluster, runs), []
    except StateError as error:
        return {}, [f"the use of ended runs is missing: {error}"]


async def _read_ledger(
    request: web.Request, cluster: str, runs: Collection[Run]
) -> tuple[Mapping[int, RunLedger], list[str]]:
    try:
        return await request.app[JOBS].ledger(cluster, runs), []
    except StateError as error:
        return {}, [f"the energy of ended runs is missing: {error}"]


def _join(runs: Iterable[Run], kept: Kept, totals: Mapping[int, RunLedger]) -> Iterable[Job]:
    for run in runs:
        ledger = totals.get(run.run_id)
        use, efficient = kept.get(run.run_id) or (NO_USE, _plain(run, ledger))
        yield Job(run, use, efficient, ledger=ledger, waste=_RECORDED)


def _plain(run: Run, ledger: RunLedger | None) -> Efficiency:
    """Give what is known of an ended run without its use: the share of its time limit, and what the ledger has."""
    return Efficiency() if run.end is None else efficiency(run, NO_USE, FairShare(), run.end, ledger=ledger)
