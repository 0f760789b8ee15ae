"""On-demand reads by job id: cached, shared, and honest about errors."""

import asyncio
from collections.abc import Collection

import polars as pl
import pytest

from aggregator.ledger.totals import no_totals
from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import runs_of
from aggregator.model.jobid import JobId
from aggregator.model.ledger import LedgerTotals
from aggregator.queries.jobs import JobQueries
from aggregator.sources.base import FetchError

RUN = Run(cluster="c", run_id=1, job_id=7, user="u", account="a", state=JobState.COMPLETED, submit=1.0, end=2.0)
OPEN = Run(cluster="c", run_id=2, job_id=7, user="u", account="a", state=JobState.RUNNING, submit=3.0)


class Reader:
    """slurmacct behind a gate: reads wait until it opens."""

    def __init__(self) -> None:
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: FetchError | None = None

    async def runs_of(self, asked: JobId) -> tuple[Run, ...]:
        self.reads += 1
        await self.gate.wait()
        if self.error:
            raise self.error
        return (RUN, OPEN)


class Summaries:
    def __init__(self) -> None:
        self.asked: list[int] = []

    async def summaries(self, cluster: str, run_ids: Collection[int]) -> pl.DataFrame:
        self.asked = list(run_ids)
        return pl.DataFrame()


class Ledger:
    def __init__(self) -> None:
        self.asked: list[int] = []

    async def runs(self, cluster: str, run_ids: Collection[int]) -> LedgerTotals:
        self.asked = list(run_ids)
        return no_totals(0.0)


async def test_simultaneous_questions_share_one_read() -> None:
    reader = Reader()
    reader.gate.clear()
    queries = JobQueries({"c": reader}, Summaries(), Ledger())
    questions = [asyncio.ensure_future(queries.runs_of("c", JobId(7))) for _ in range(5)]
    await asyncio.sleep(0)
    reader.gate.set()
    assert await asyncio.gather(*questions) == [(RUN, OPEN)] * 5
    assert reader.reads == 1


async def test_an_answer_is_cached_and_another_id_is_another_read() -> None:
    reader = Reader()
    queries = JobQueries({"c": reader}, Summaries(), Ledger())
    for asked in (JobId(7), JobId(7), JobId(8), JobId(7, array_task=1)):
        await queries.runs_of("c", asked)
    assert reader.reads == 3


async def test_an_error_is_not_cached() -> None:
    reader = Reader()
    reader.error = FetchError("clusters.c.slurmacct: down")
    queries = JobQueries({"c": reader}, Summaries(), Ledger())
    with pytest.raises(FetchError, match="down"):
        await queries.runs_of("c", JobId(7))
    reader.error = None
    assert await queries.runs_of("c", JobId(7)) == (RUN, OPEN)


async def test_a_client_that_goes_away_does_not_end_the_read_of_the_others() -> None:
    reader = Reader()
    reader.gate.clear()
    queries = JobQueries({"c": reader}, Summaries(), Ledger())
    impatient = asyncio.ensure_future(queries.runs_of("c", JobId(7)))
    patient = asyncio.ensure_future(queries.runs_of("c", JobId(7)))
    await asyncio.sleep(0)
    impatient.cancel()
    reader.gate.set()
    assert await patient == (RUN, OPEN)
    assert reader.reads == 1


async def test_only_ended_runs_are_looked_up_in_the_state() -> None:
    summaries = Summaries()
    await JobQueries({}, summaries, Ledger()).summaries("c", runs_of((RUN, OPEN)).runs)
    assert summaries.asked == [1]


async def test_the_ledger_is_asked_for_ended_runs_only() -> None:
    ledger = Ledger()

    await JobQueries({}, Summaries(), ledger).ledger("c", runs_of((RUN, OPEN)).runs)

    assert ledger.asked == [1]
