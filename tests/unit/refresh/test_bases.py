"""What counters showed when resized runs began is read once, and asked for again while there is no sample."""

from collections.abc import Sequence

import polars as pl

from aggregator.model.accounting import Run
from aggregator.model.job_inputs import BASES, runs_of
from aggregator.refresh.bases import MOST_AT_ONCE, RETRY_SECONDS, KnownBases
from aggregator.sources.base import FetchError
from tests.builders import NOW, make_run

INTERVAL = 30.0


class Reader:
    """Answers with what the test says, one after the other, and then with nothing."""

    interval = INTERVAL

    def __init__(self, *answers: Sequence[tuple[str, float]] | FetchError) -> None:
        self.asked: list[tuple[int, float]] = []
        self._answers = list(answers)

    async def base_of(self, job_id: int, since: float) -> pl.DataFrame:
        self.asked.append((job_id, since))
        answer = self._answers.pop(0) if self._answers else ()
        if isinstance(answer, FetchError):
            raise answer
        rows = [(node, at, 5.0, None) for node, at in answer]
        schema = {name: dtype for name, dtype in BASES.items() if name != "run_id"}
        return pl.DataFrame(rows, schema=schema, orient="row")


def resized(run_id: int = 2**63 + 7) -> Run:
    return make_run(run_id=run_id, job_id=4711, start=NOW - 600, job_start=NOW - 7200)


async def test_the_base_of_a_resized_run_is_read_once() -> None:
    reader = Reader([("node01", NOW - 590), ("node02", NOW - 580)])
    bases = KnownBases(reader)
    for at in (NOW, NOW + 30):
        found = (await bases.of(runs_of([resized(), make_run(run_id=1)]), at)).frame
        assert found.schema == BASES
        assert found.sort("node").rows() == [
            (2**63 + 7, "node01", NOW - 590, 5.0, None), (2**63 + 7, "node02", NOW - 580, 5.0, None),
        ]  # fmt: skip
    assert reader.asked == [(4711, NOW - 600)]


async def test_a_run_that_is_open_no_more_is_forgotten() -> None:
    bases = KnownBases(Reader([("node01", NOW - 590)]))
    await bases.of(runs_of([resized()]), NOW)
    assert (await bases.of(runs_of([]), NOW + 30)).frame.is_empty()


async def test_what_has_no_sample_or_cannot_be_read_is_asked_for_again_later() -> None:
    reader = Reader((), FetchError("down"), [("node01", NOW - 590)])
    bases = KnownBases(reader)
    for step, rows in ((0, 0), (RETRY_SECONDS - 1, 0), (RETRY_SECONDS, 0), (2 * RETRY_SECONDS, 1)):
        assert len((await bases.of(runs_of([resized()]), NOW + step)).frame) == rows
    assert len(reader.asked) == 3


async def test_a_run_that_has_just_begun_is_not_asked_for_yet_and_many_are_spread() -> None:
    reader = Reader()
    young = make_run(start=NOW - 10, job_start=NOW - 7200)
    await KnownBases(reader).of(runs_of([young]), NOW)
    assert reader.asked == []
    await KnownBases(reader).of(runs_of([resized(run_id) for run_id in range(2 * MOST_AT_ONCE)]), NOW)
    assert len(reader.asked) == MOST_AT_ONCE


async def test_after_a_reload_it_is_not_read_again_and_without_prometheus_there_is_none() -> None:
    before, after = KnownBases(Reader([("node01", NOW - 590)])), KnownBases(reader := Reader())
    await before.of(runs_of([resized()]), NOW)
    after.take_over(before)
    assert len((await after.of(runs_of([resized()]), NOW)).frame) == 1
    assert reader.asked == []
    assert (await KnownBases(None).of(runs_of([resized()]), NOW)).frame.is_empty()
