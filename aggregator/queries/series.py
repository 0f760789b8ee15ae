"""Lines over time: a step that fits, few reads at once, cached for a moment."""

import asyncio
import math
from collections.abc import Mapping
from typing import Final, Protocol

from cachetools import TTLCache

from aggregator.model.series import MAX_POINTS, AvailableGraph, Lines, Span, Subject
from aggregator.queries.cache import CachedReads

# A graph is hardly wider than this in pixels.
SHOWN_POINTS: Final = 500
# Several queries of MAX_POINTS each; more points are a download, not a graph.
MOST_POINTS: Final = 5 * MAX_POINTS
READS_AT_ONCE: Final = 4
_CACHE_SECONDS: Final = 15.0
_CACHE_ENTRIES: Final = 64
# Steps that people read at a glance, in seconds; beyond them whole days.
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_Key = tuple[str, str, str, Subject, Span]


def cloud_key(cloud: str) -> str:
    """Name the reader of a cloud's graphs; no cluster has a slash in its name."""
    return f"cloud/{cloud}"


def quota_key(filesystem: str) -> str:
    """Name the reader of the graphs of a file system's quotas."""
    return f"quota/{filesystem}"


class SeriesReader(Protocol):
    """A source of lines over time."""

    def available(self, subject: str) -> Mapping[str, AvailableGraph]:
        """Give the graphs that may be asked of a kind of subject, by name."""
        ...

    def missing(self, subject: str) -> Mapping[str, str]:
        """Give the exporter that each other graph would need, by the graph's name."""
        ...

    async def read(self, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Read one graph of a subject.

        Raises FetchError.
        """
        ...


class TooManyPointsError(ValueError):
    """The range has too many points at the step that is asked for; the text names a step that will do."""


def plan(start: float, end: float, step: float | None, interval: float) -> Span:
    """Choose the evaluation times: at multiples of the step, never closer than the exporter is scraped by itself.

    Raises TooManyPointsError.
    """
    if step is None:
        finest = max(interval, (end - start) / SHOWN_POINTS)
        step = next((nice for nice in map(float, _STEPS) if nice >= finest), 86_400.0 * math.ceil(finest / 86_400))
    first = math.ceil(start / step) * step
    # A range shorter than a step has one point: at its end.
    span = Span(first, end, step) if first <= end else Span(end, end, step)
    if span.points > MOST_POINTS:
        least = math.ceil((end - start) / (MOST_POINTS - 1))
        raise TooManyPointsError(f"more than {MOST_POINTS} points; ask for less time or for a step of {least}s or more")
    return span


class SeriesQueries:
    """Read graphs from each cluster's source; without a reader a cluster has none."""

    def __init__(self, readers: Mapping[str, SeriesReader]) -> None:
        self._readers = readers
        self._reads = CachedReads[_Key, Lines](
            TTLCache(_CACHE_ENTRIES, _CACHE_SECONDS), asyncio.Semaphore(READS_AT_ONCE)
        )

    def available(self, cluster: str, subject: str) -> Mapping[str, AvailableGraph]:
        """Give the graphs that may be asked of a kind of subject, by name."""
        reader = self._readers.get(cluster)
        return reader.available(subject) if reader else {}

    def missing(self, cluster: str, subject: str) -> Mapping[str, str]:
        """Give the exporter that each other graph would need, by the graph's name."""
        reader = self._readers.get(cluster)
        return reader.missing(subject) if reader else {}

    async def read(self, cluster: str, kind: str, name: str, subject: Subject, span: Span) -> Lines:
        """Read one graph of a subject; simultaneous calls share one read.

        Raises FetchError, which is not cached.
        """
        reader = self._readers[cluster]
        return await self._reads.get(
            (cluster, kind, name, subject, span), lambda: reader.read(kind, name, subject, span)
        )
