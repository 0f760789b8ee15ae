"""Summaries of ended runs: saved once each, again after an error, never in the way of a refresh."""

import asyncio
from typing import Any

import polars as pl
import pytest

from aggregator.app.layouts import CLUSTERS
from aggregator.model.view import ClusterView, SourceStatus
from aggregator.refresh import summaries
from aggregator.refresh.summaries import Retention, SummaryKeeper
from aggregator.state import StateError

NOW = 1_700_000_000.0


class Store:
    """A state that remembers what it was given, fails, or hangs."""

    def __init__(self) -> None:
        self.saved: list[list[int]] = []
        self.pruned: list[tuple[float, ...]] = []
        self.error: StateError | None = None
        self.hang = False
        self.begun = 0
        self.checks = 0

    async def check(self) -> None:
        self.checks += 1
        await self.save_summaries("", pl.DataFrame({"run_id": []}))
        self.saved.pop()

    async def save_summaries(self, cluster: str, ended: pl.DataFrame) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        self.saved.append(ended["run_id"].to_list())

    async def prune(self, *before: float) -> int:
        self.pruned.append(before)
        return 0


def job(run_id: int, *, ended: bool = True, used: bool = True) -> dict[str, Any]:
    return {
        "run_id": run_id, "job_id": run_id, "user": "u", "account": "a", "submit_timestamp_seconds": 1.0,
        "start_timestamp_seconds": 1.0, "end_timestamp_seconds": NOW - 5 if ended else None, "is_open": not ended,
        "used_cpus": 1.0 if used else None,
    }  # fmt: skip


def view(*jobs: dict[str, Any], at: float = NOW) -> ClusterView:
    frame = pl.DataFrame(jobs, schema=CLUSTERS.tables["jobs"].schema)
    return ClusterView("c", at, frames={"jobs": frame})


async def test_each_ended_run_with_a_use_is_saved_once() -> None:
    store = Store()
    keeper = SummaryKeeper(store, Retention(), lambda status: None)
    await keeper.keep(view(job(1), job(2, ended=False), job(3, used=False)))
    await keeper.keep(view(job(1), job(2)))
    assert store.saved == [[1], [2]]


async def test_what_could_not_be_saved_is_saved_later() -> None:
    store, told = Store(), list[SourceStatus]()
    keeper = SummaryKeeper(store, Retention(), told.append)
    store.error = StateError("state.url: x: database is locked")
    await keeper.keep(view(job(1)))
    assert (told[-1].up, told[-1].error) == (False, "state.url: x: database is locked")
    store.error = None
    await keeper.keep(view(job(1)))
    assert store.saved == [[1]]
    assert (told[-1].up, told[-1].last_success) == (True, NOW)


async def test_a_state_that_hangs_does_not_hold_up_the_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "SAVE_SECONDS", 0.01)
    store, told = Store(), list[SourceStatus]()
    store.hang = True
    await SummaryKeeper(store, Retention(), told.append).keep(view(job(1)))
    assert told[-1].error == "state.url: no answer within 0.01 s"


async def test_old_summaries_scripts_and_alerts_are_deleted_once_an_hour() -> None:
    store = Store()
    keeper = SummaryKeeper(store, Retention(summaries=100.0, scripts=50.0, alerts=20.0), lambda status: None)
    for at in (NOW, NOW + 60, NOW + 3600):
        await keeper.keep(view(at=at))
    assert store.pruned == [(NOW - 100, NOW - 50, NOW - 20), (NOW + 3500, NOW + 3550, NOW + 3580)]


async def test_a_clock_that_jumps_ahead_deletes_nothing() -> None:
    """slurmdbd's newest event is older than our clock says."""
    store = Store()
    keeper = SummaryKeeper(store, Retention(summaries=100.0, scripts=50.0, alerts=20.0), lambda status: None)
    await keeper.keep(view(job(1), at=NOW + 1e9))
    assert store.pruned == [(NOW - 5 - 100, NOW - 5 - 50, NOW - 5 - 20)]
