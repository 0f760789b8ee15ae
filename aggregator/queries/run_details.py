"""The details of one run: several reads at the same time, each failing alone."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from cachetools import TTLCache

from aggregator.model.accounting import Run
from aggregator.model.jobid import JobId
from aggregator.model.run_details import ArrayTasks, Dependencies, NodeEvents, Reservation, RunDetails
from aggregator.model.steps import Recorded
from aggregator.parts.jobs.steps import close_steps
from aggregator.queries.cache import CachedReads
from aggregator.queries.jobs import CACHE_SECONDS, JobQueries
from aggregator.sources.base import FetchError

# The facts of a job are an answer without this: nobody waits longer for it.
READ_SECONDS: Final = 5.0
READS_AT_ONCE: Final = 2
# Jobs named by a submit line that are looked up.
MAX_NAMED: Final = 20
_KEPT: Final = 1000
T = TypeVar("T")
_EventsKey = tuple[str, tuple[str, ...], float, float, int]


class DetailReader(Protocol):
    """A source of the details of single runs; None is what it does not keep. All raise FetchError."""

    async def recorded_of(self, run: Run) -> Recorded | None:
        """Read the steps of a run, and how it ended."""
        ...

    async def events_of(self, run: Run, now: float) -> NodeEvents | None:
        """Read the events of the run's nodes that overlap it, up to `now` for one that has not ended."""
        ...

    async def reservation_of(self, run: Run) -> Reservation | None:
        """Read the reservation that covered the run's start."""
        ...

    async def dependencies_of(self, run: Run) -> Dependencies | None:
        """Read what the run waits for, and which of its user's runs near it wait for it."""
        ...

    async def tasks_of(self, run: Run) -> ArrayTasks | None:
        """Count the tasks of the run's array by state."""
        ...

    async def node_events(self, nodes: Sequence[str], since: float, until: float, most: int) -> NodeEvents | None:
        """Read the events of nodes that overlap a time, at most `most` of each: the newest ones."""
        ...

    async def reservations(self, since: float) -> tuple[Reservation, ...] | None:
        """Read the reservations that end at or after epoch time `since`, the first to begin first."""
        ...


class DetailQueries:
    """Read the details of a run. Who may see the runs that it names is not decided here."""

    def __init__(self, jobs: JobQueries, readers: Mapping[str, DetailReader]) -> None:
        self._jobs = jobs
        self._readers = readers
        self._gate = asyncio.Semaphore(READS_AT_ONCE)
        self._reads = CachedReads[tuple[str, int, bool], RunDetails](TTLCache(_KEPT, CACHE_SECONDS))
        self._events = CachedReads[_EventsKey, NodeEvents | None](TTLCache(_KEPT, CACHE_SECONDS))

    def has_source(self, cluster: str) -> bool:
        """Tell whether there is a source of the details of this cluster's runs."""
        return cluster in self._readers

    async def details(self, run: Run, now: float) -> RunDetails:
        """Read all details of a run; what cannot be read is None and a warning."""
        return await self._reads.get(
            (run.cluster, run.run_id, run.is_open),
            lambda: self._read(run, now),
            keep=lambda details: not details.warnings,
        )

    async def node_events(
        self, cluster: str, nodes: Sequence[str], since: float, until: float, most: int
    ) -> NodeEvents | None:
        """Read the events of nodes in a time, at most `most` of each; None where there is no source of them.

        Raises FetchError.
        """
        reader = self._readers.get(cluster)
        if reader is None:
            return None
        key = (cluster, tuple(nodes), since, until, most)
        return await self._events.get(key, lambda: self._alone(lambda: reader.node_events(nodes, since, until, most)))

    async def reservations(self, cluster: str, since: float) -> tuple[Reservation, ...] | None:
        """Read the reservations that end at or after `since`; None where there is no source of them.

        Raises FetchError.
        """
        reader = self._readers.get(cluster)
        return await self._alone(lambda: reader.reservations(since)) if reader else None

    async def _alone(self, read: Callable[[], Awaitable[T]]) -> T:
        """Wait for a read that is an answer of its own.

        Raises FetchError, also when it takes too long.
        """
        try:
            async with asyncio.timeout(READ_SECONDS), self._gate:
                return await read()
        except TimeoutError as error:
            raise FetchError(f"slurmacct: no answer within {READ_SECONDS:g} s") from error

    async def _read(self, run: Run, now: float) -> RunDetails:
        reader, warnings = self._readers[run.cluster], list[str]()
        recorded, events, reservation, waits, tasks, components = await asyncio.gather(
            self._part("steps", lambda: reader.recorded_of(run), warnings),
            self._part("node events", lambda: reader.events_of(run, now), warnings),
            self._part("the reservation", lambda: reader.reservation_of(run), warnings),
            self._part("dependencies", lambda: self._dependencies(reader, run), warnings),
            self._part("the array's tasks", lambda: reader.tasks_of(run), warnings),
            self._part("components", lambda: self._components(run), warnings),
        )
        dependencies, named = waits or (None, {})
        if recorded is not None:
            recorded = replace(recorded, steps=close_steps(run, recorded.steps))
        return RunDetails(
            recorded=recorded, events=events, reservation=reservation, dependencies=dependencies, tasks=tasks,
            components=components, named=named, warnings=tuple(warnings),
        )  # fmt: skip

    async def _part(self, what: str, read: Callable[[], Awaitable[T | None]], warnings: list[str]) -> T | None:
        """Give one part of it; without it, say so."""
        try:
            async with asyncio.timeout(READ_SECONDS), self._gate:
                return await read()
        except FetchError as error:
            warnings.append(f"{what} of the run are missing: {error}")
        except TimeoutError:
            warnings.append(f"{what} of the run are missing: no answer within {READ_SECONDS:g} s")
        return None

    async def _dependencies(
        self, reader: DetailReader, run: Run
    ) -> tuple[Dependencies, Mapping[JobId, tuple[Run, ...]]] | None:
        """Read the dependencies, and the runs of the jobs that the run waits for."""
        found = await reader.dependencies_of(run)
        if found is None:
            return None
        jobs = dict.fromkeys(each.job for each in found.depends_on if each.job)
        return found, {job: await self._jobs.runs_of(run.cluster, job) for job in list(jobs)[:MAX_NAMED]}

    async def _components(self, run: Run) -> tuple[Run, ...] | None:
        """Read the components of a heterogeneous job, this run's among them; those of the newest submission."""
        if run.het_job_id is None:
            return None
        runs = await self._jobs.runs_of(run.cluster, JobId(run.het_job_id))
        newest = {other.het_offset: other for other in runs if other.het_job_id == run.het_job_id}
        return tuple(newest[offset] for offset in sorted(newest, key=lambda offset: offset or 0))
