"""inotify tells of new jobs at once; the scan finds what it did not tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from jobscript_ingest.location import StateSaveLocation
from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.settings import BatchLimits
from jobscript_ingest.spool import Spool
from jobscript_ingest.watch import Watcher
from tests.unit.jobscript_ingest.builders import FakeSlurmctld, make_collector, value
from tests.unit.jobscript_ingest.process import wait_for

RARELY = 3600.0


def found(spool: Spool) -> set[int]:
    return {script.job_id for script in spool.batch(BatchLimits(1000, 2**30))}


class Watching:
    """Run a watcher while the test does something."""

    def __init__(self, slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics) -> None:
        self._collector = make_collector(slurm, spool, metrics)
        self._location = StateSaveLocation(slurm.root)
        self._task: asyncio.Task[None] | None = None

    def start(self, scan_interval: float) -> None:
        self._task = asyncio.create_task(Watcher(self._location, self._collector, scan_interval).run())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


@pytest.fixture
async def watching(slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics) -> AsyncIterator[Watching]:
    watching = Watching(slurm, spool, metrics)
    yield watching
    await watching.stop()


async def scanned(metrics: AgentMetrics) -> None:
    await wait_for(lambda: value(metrics, "last_scan_timestamp_seconds") is not None, "the first scan")


async def test_a_new_job_is_found_without_a_scan(
    slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics, watching: Watching
) -> None:
    slurm.submit(1)
    watching.start(RARELY)
    await scanned(metrics)
    assert found(spool) == {1}

    slurm.submit(11)

    await wait_for(lambda: found(spool) == {1, 11}, "the new job")


async def test_a_script_is_waited_for_without_a_scan(
    slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics, watching: Watching
) -> None:
    (slurm.root / "hash.1").mkdir()
    watching.start(RARELY)
    await scanned(metrics)

    slurm.begin(11, b"#!/bin").unlink()
    await wait_for(lambda: value(metrics, "incomplete_scripts") == 1, "the folder")
    assert found(spool) == set()
    slurm.submit(11)

    await wait_for(lambda: found(spool) == {11}, "the script")
    await wait_for(lambda: value(metrics, "incomplete_scripts") == 0, "nothing to wait for")


async def test_a_folder_that_vanishes_does_not_end_the_watch(
    slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics, watching: Watching
) -> None:
    (slurm.root / "hash.1").mkdir()
    watching.start(RARELY)
    await scanned(metrics)
    for job_id in range(11, 200, 10):
        slurm.submit(job_id)
        slurm.purge(job_id)

    slurm.submit(1)

    await wait_for(lambda: 1 in found(spool), "the job that stays")


async def test_a_new_hash_folder_is_found_by_the_scan_and_watched(
    slurm: FakeSlurmctld, spool: Spool, watching: Watching
) -> None:
    watching.start(0.1)
    slurm.submit(1)
    await wait_for(lambda: found(spool) == {1}, "the first job of all")

    (slurm.root / "hash.1").rename(slurm.root / "away")
    slurm.submit(11)

    await wait_for(lambda: 11 in found(spool), "a job in a folder that was made anew")


async def test_without_inotify_the_scan_finds_everything(
    slurm: FakeSlurmctld,
    spool: Spool,
    watching: Watching,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def no_watch(*_: object, **__: object) -> AsyncIterator[set[object]]:
        yield set()
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr("jobscript_ingest.watch.awatch", no_watch)
    (slurm.root / "hash.1").mkdir()
    watching.start(0.05)
    await wait_for(lambda: "inotify is not available" in caplog.text, "the warning")

    slurm.submit(1)

    await wait_for(lambda: found(spool) == {1}, "the job")
    assert caplog.text.count("inotify is not available") == 1
