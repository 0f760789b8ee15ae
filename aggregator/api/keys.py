"""The things that handlers find in the application, each under a typed key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from aggregator.queries.jobs import JobQueries
from aggregator.refresh.store import SnapshotStore

Clock = Callable[[], float]


class MetricsPage(Protocol):
    """What answers /metrics."""

    async def respond(self, request: web.Request, groups: frozenset[str] | None) -> web.StreamResponse:
        """Answer with the families of these groups, or with all of them when groups is None."""
        ...


@dataclass(slots=True, kw_only=True)
class ApiSettings:
    """What the configuration says about the API; a reload changes it in place.

    Data older than stale_after seconds are not served. open_areas are those of access.py that need no identity.
    reload returns None when the new configuration is in force, else what is wrong with it.
    """

    external_url: str
    stale_after: float
    version: str
    open_areas: frozenset[str]
    reload: Callable[[], Awaitable[str | None]]


STORE = web.AppKey("store", SnapshotStore)
JOBS = web.AppKey("jobs", JobQueries)
SETTINGS = web.AppKey("settings", ApiSettings)
PAGE = web.AppKey[MetricsPage]("page")
CLOCK = web.AppKey[Clock]("clock")
