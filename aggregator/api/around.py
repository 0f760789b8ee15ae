"""What is around the runs of one job: read for the newest of them only, and never at the cost of the plain answer."""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from aggregator.api.around_representation import around_json, step_efficiency_json
from aggregator.api.keys import AROUND, CLOCK
from aggregator.api.lookup import replica_warnings
from aggregator.api.representation import Json
from aggregator.api.visibility import Sight
from aggregator.join.steps import recorded_use, step_efficiency
from aggregator.model.around import Around
from aggregator.model.view import Job

# The id of an array means all its tasks: an answer is not made of thousands of reads.
MAX_RUNS: Final = 4


async def around_of(
    request: web.Request, cluster: str, jobs: Sequence[Job], sight: Sight, *, readable: bool
) -> tuple[dict[int, Json], list[str]]:
    """Give what each run's JSON gets besides, by run id: `around`, and an efficiency from steps where none was kept.

    Nothing is read where slurmacct is known not to be `readable`.
    """
    queries, now = request.app[AROUND], request.app[CLOCK]()
    chosen = jobs[-MAX_RUNS:] if readable and queries.offers(cluster) else []
    found = await asyncio.gather(*(queries.around(job.run, now) for job in chosen))
    more: dict[int, Json] = {job.run.run_id: {"around": None} for job in jobs}
    for job, around in zip(chosen, found, strict=True):
        more[job.run.run_id] = {"around": around_json(job.run, around, sight), **_efficiency(job, around)}
    warnings = list(dict.fromkeys(warning for around in found for warning in around.warnings))
    if chosen:
        warnings += replica_warnings(request, cluster)
    if 0 < len(chosen) < len(jobs):
        warnings.append(f"around: only the newest {MAX_RUNS} of {len(jobs)} runs have it")
    return more, warnings


def _efficiency(job: Job, around: Around) -> Json:
    kept = job.efficiency.cpu is not None or job.efficiency.memory is not None
    if kept or around.recorded is None or job.run.is_open:
        return {}
    return {"efficiency": step_efficiency_json(job, step_efficiency(job.run, recorded_use(around.recorded)))}
