"""The details of the runs of one job: read for the newest of them only, and never at the cost of the plain answer."""

import asyncio
from collections.abc import Sequence
from typing import Final

import polars as pl
from aiohttp import web

from aggregator.api.alerts import alerts_of
from aggregator.api.details_representation import details_json
from aggregator.api.keys import CLOCK, DETAILS
from aggregator.api.lookup import replica_warnings
from aggregator.api.representation import Json, Row
from aggregator.api.visibility import Rights
from aggregator.model.accounting import Run
from aggregator.model.run_details import RunDetails
from aggregator.parts.jobs.steps import recorded_use, step_efficiency

# The id of an array means all its tasks: an answer is not made of thousands of reads.
MAX_RUNS: Final = 4
STEPS: Final = "slurmdbd steps"


async def details_of(
    request: web.Request, cluster: str, runs: Sequence[Run], jobs: pl.DataFrame, rights: Rights, *, readable: bool
) -> tuple[dict[int, Json], list[str]]:
    """Give what each run's JSON gets besides, by run id: `around`, `alerts`, and where none was kept an efficiency.

    jobs has the runs' rows in their order. Nothing is read where slurmacct is known not to be `readable`.
    """
    queries, now = request.app[DETAILS], request.app[CLOCK]()
    chosen = runs[-MAX_RUNS:] if readable and queries.has_source(cluster) else []
    details_of_runs = asyncio.gather(*(queries.details(run, now) for run in chosen))
    found, (alerts, missing) = await asyncio.gather(details_of_runs, alerts_of(request, cluster, runs[-MAX_RUNS:]))
    more: dict[int, Json] = {run.run_id: {"around": None, "alerts": alerts.get(run.run_id)} for run in runs}
    rows = jobs.tail(len(chosen)).iter_rows(named=True)
    for run, row, details in zip(chosen, rows, found, strict=True):
        more[run.run_id] |= {"around": details_json(run, details, rights), **_efficiency(run, row, details)}
    warnings = [*missing, *dict.fromkeys(warning for details in found for warning in details.warnings)]
    if chosen:
        warnings += replica_warnings(request, cluster)
    if 0 < len(chosen) < len(runs):
        warnings.append(f"around: only the newest {MAX_RUNS} of {len(runs)} runs have it")
    return more, warnings


def _efficiency(run: Run, row: Row, details: RunDetails) -> Json:
    """Take the efficiency of an ended run from its steps, where none was kept."""
    kept = row["cpu_efficiency_ratio"] is not None or row["memory_efficiency_ratio"] is not None
    if kept or details.recorded is None or run.is_open:
        return {}
    found = step_efficiency(run, recorded_use(details.recorded))
    ratios = {"cpu_efficiency_ratio": found.cpu, "memory_efficiency_ratio": found.memory}
    return {**ratios, "efficiency_source": STEPS}
