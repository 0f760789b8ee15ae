"""The things that handlers find in the application, each under a typed key."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl
from aiohttp import web

from aggregator.api.identity import ClientCertificates, TrustedProxy
from aggregator.api.jwt import AccessTokens
from aggregator.api.oidc import SingleSignOn
from aggregator.api.tokens.store import TokenStore
from aggregator.api.visibility import Rules
from aggregator.config import Bounds
from aggregator.model.alert import WasteAlert
from aggregator.model.script import ScriptRecord
from aggregator.model.software import Software
from aggregator.queries.history import HistoryQueries
from aggregator.queries.jobs import JobQueries
from aggregator.queries.readers import Queries, ReplicaNotes
from aggregator.queries.run_details import DetailQueries
from aggregator.queries.scripts import ScriptQueries
from aggregator.queries.series import SeriesQueries
from aggregator.queries.usage import UsageQueries
from aggregator.refresh.store import SnapshotStore

Clock = Callable[[], float]


class MetricsPage(Protocol):
    """What answers /metrics."""

    @property
    def groups(self) -> frozenset[str]:
        """Give the groups of families by which an answer can be limited."""
        ...

    async def respond(self, request: web.Request, groups: frozenset[str] | None) -> web.StreamResponse:
        """Answer with the families of these groups, or with all of them when groups is None."""
        ...


class ScriptKeeper(Protocol):
    """Where delivered job scripts are kept."""

    async def save(self, cluster: str, scripts: Sequence[tuple[ScriptRecord, bytes]], now: float) -> frozenset[int]:
        """Keep scripts, all or none of them; give the positions of those that are new.

        Raises StateError.
        """
        ...

    async def of_job(self, cluster: str, job_id: int) -> list[ScriptRecord]:
        """List what is kept of a job id, the newest first.

        Raises StateError.
        """
        ...

    async def hashes(self, cluster: str, job_ids: Collection[int]) -> Mapping[int, frozenset[str]]:
        """Give the hashes of what is kept of job ids, of each that has something.

        Raises StateError.
        """
        ...


class AlertKeeper(Protocol):
    """Where alerts are kept."""

    async def save(self, alerts: Sequence[WasteAlert], now: float) -> int:
        """Keep what people are told now, all of it or nothing; give how many alerts are new.

        Raises StateError.
        """
        ...

    async def newest(
        self,
        cluster: str,
        most: int,
        wanted: Mapping[str, Collection[Any]],
        seen: tuple[str | None, Collection[str]] | None = None,
    ) -> pl.DataFrame:
        """Give the alerts of which people were told last, with these values, of a user or accounts that are seen.

        Raises StateError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSources:
    """What answers are made of: the snapshot and its page, what is read on demand, and what is kept."""

    store: SnapshotStore
    page: MetricsPage
    queries: Queries
    scripts: ScriptKeeper
    alerts: AlertKeeper


@dataclass(slots=True, kw_only=True)
class Ways:
    """The ways to be known to the service besides basic authentication, as far as they are configured."""

    tokens: TokenStore | None = None
    access_tokens: AccessTokens | None = None
    single_sign_on: SingleSignOn | None = None
    proxy: TrustedProxy | None = None
    certificates: ClientCertificates | None = None

    def __bool__(self) -> bool:
        return any((self.tokens, self.access_tokens, self.single_sign_on, self.proxy, self.certificates))

    @property
    def has_form(self) -> bool:
        """Tell whether people can sign in on a page of this service."""
        return bool(self.tokens or self.single_sign_on)


@dataclass(slots=True, kw_only=True)
class Origins:
    """From where browsers may come: the names of the service, and whose pages may show its own in a frame.

    is_local says that only this machine can ask.
    """

    hosts: frozenset[str] = frozenset()
    frame_ancestors: tuple[str, ...] = ()
    is_local: bool = True


@dataclass(slots=True, kw_only=True)
class Upkeep:
    """What the paths below `/-/` do and tell.

    reload returns None when the new configuration is in force, else what is wrong with it. stalled names the loops that
    hang. needs_restart names the keys of the last configuration that was read which are not in force before a restart.
    was_ready says that everything has once been there.
    """

    reload: Callable[[], Awaitable[str | None]]
    stalled: Callable[[], Sequence[str]] = tuple
    needs_restart: tuple[str, ...] = ()
    was_ready: bool = False


@dataclass(slots=True, kw_only=True)
class ApiSettings:
    """What the configuration says about the API; a reload changes it in place.

    Data older than stale_after seconds are not served. open_areas are those of areas.py that need no identity. software
    names executables, the first that fits. bounds are what clients may ask.
    """

    external_url: str
    stale_after: float
    version: str
    open_areas: frozenset[str]
    upkeep: Upkeep
    origins: Origins = field(default_factory=Origins)
    ways: Ways = field(default_factory=Ways)
    rules: Rules = field(default_factory=Rules)
    software: tuple[Software, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)


STORE = web.AppKey("store", SnapshotStore)
JOBS = web.AppKey("jobs", JobQueries)
HISTORY = web.AppKey("history", HistoryQueries)
DETAILS = web.AppKey("details", DetailQueries)
SCRIPTS = web.AppKey("scripts", ScriptQueries)
SERIES = web.AppKey("series", SeriesQueries)
USAGE = web.AppKey("usage", UsageQueries)
REPLICAS = web.AppKey[Mapping[str, ReplicaNotes]]("replicas")
SCRIPT_KEEPER = web.AppKey[ScriptKeeper]("script_keeper")
ALERTS = web.AppKey[AlertKeeper]("alerts")
# Counts alerts by what became of them.
COUNT_ALERTS = web.AppKey[Callable[[str, int], None]]("count_alerts")
SETTINGS = web.AppKey("settings", ApiSettings)
PAGE = web.AppKey[MetricsPage]("page")
CLOCK = web.AppKey[Clock]("clock")
