"""When to look: inotify on the hash folders says which jobs are new, a full scan is the safety net."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from watchfiles import Change, awatch

from jobscript_ingest.collect import Collector
from jobscript_ingest.location import StateSaveLocation, job_id_of

_log = logging.getLogger(__name__)
# slurmctld writes a script within milliseconds of making its folder; the pause doubles for one that is never completed.
_INCOMPLETE_SECONDS = 0.25
# There is room again when the service has taken scripts, or somebody has cleared the disk.
_FULL_SECONDS = 2.0
# A call that is under way when the agent ends gets this long; SIGTERM must end it within 5 s.
_END_SECONDS = 3.0
_DEBOUNCE_MS, _STEP_MS = 200, 20


class Watcher:
    """Call the collector for what inotify tells and at every scan interval, never twice at a time.

    Only the hash folders are watched, ten at most: a watch for each job would go past the kernel's limits, and a job's
    folder may vanish at any time.
    """

    def __init__(self, location: StateSaveLocation, collector: Collector, scan_interval: float) -> None:
        self._location = location
        self._collector = collector
        self._scan_interval = scan_interval
        self._changed: set[int] = set()
        self._woken = asyncio.Event()
        self._folders: Mapping[Path, int] = {}
        self._watch: asyncio.Task[None] | None = None
        self._pause = _INCOMPLETE_SECONDS
        self._work: asyncio.Task[object] | None = None
        self._inotify_problem = ""

    async def run(self) -> None:
        """Watch and scan until cancelled."""
        try:
            await self._run()
        finally:
            self._collector.stop()
            if self._watch:
                self._watch.cancel()
            if self._work:
                # Its spool is closed after it.
                await asyncio.wait({self._work}, timeout=_END_SECONDS)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        next_scan = loop.time()
        while True:
            if loop.time() >= next_scan:
                await self._follow_folders()
                await self._call(self._collector.scan)
                next_scan = loop.time() + self._scan_interval
            elif wanted := self._changed | self._collector.incomplete:
                self._changed.clear()
                await self._call(self._collector.look, wanted)
            if self._collector.is_full:
                next_scan = min(next_scan, loop.time() + _FULL_SECONDS)
            await self._wait(next_scan - loop.time())

    async def _call(self, work: Callable[..., object], *arguments: object) -> None:
        self._work = asyncio.create_task(asyncio.to_thread(work, *arguments))
        await asyncio.shield(self._work)

    async def _wait(self, seconds: float) -> None:
        """Wait for a change; not long when a script is being written."""
        if self._collector.incomplete:
            seconds = min(seconds, self._pause)
            self._pause *= 2
        else:
            self._pause = _INCOMPLETE_SECONDS
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._woken.wait()
            self._pause = _INCOMPLETE_SECONDS
        except TimeoutError:
            pass
        self._woken.clear()

    async def _follow_folders(self) -> None:
        """Watch the hash folders that there are now; slurmctld makes one when the first job needs it."""
        try:
            folders = await asyncio.to_thread(self._location.folders)
        except OSError:
            # The scan says it.
            return
        if folders == self._folders and self._watch and not self._watch.done():
            return
        if self._watch:
            self._watch.cancel()
        self._folders = folders
        self._watch = asyncio.create_task(self._follow(list(folders)), name="inotify") if folders else None

    async def _follow(self, folders: list[Path]) -> None:
        watched = awatch(
            *folders, recursive=False, watch_filter=_is_job, debounce=_DEBOUNCE_MS, step=_STEP_MS, rust_timeout=60_000
        )
        try:
            async for changes in watched:
                self._changed |= {job_id for _, path in changes if (job_id := job_id_of(Path(path))) is not None}
                self._woken.set()
        except (OSError, RuntimeError) as error:
            if str(error) != self._inotify_problem:
                _log.warning("inotify is not available, scripts are found by scanning alone: error=%s", error)
            self._inotify_problem = str(error)


def _is_job(change: Change, path: str) -> bool:
    return change is not Change.deleted and job_id_of(Path(path)) is not None
