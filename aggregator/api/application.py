"""The application: every URL of the service, and what each request passes on its way."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from aiohttp import web

from aggregator.api.access import check_access, identify
from aggregator.api.basic_auth import basic_auth
from aggregator.api.bounds import ClientLimits, Refuse, deadline
from aggregator.api.errors import answer_errors
from aggregator.api.headers import add_security_headers
from aggregator.api.instrument import Observe, instrument
from aggregator.api.keys import (
    ALERTS,
    AROUND,
    CLOCK,
    COUNT_ALERTS,
    HISTORY,
    JOBS,
    PAGE,
    REPLICAS,
    SCRIPT_KEEPER,
    SCRIPTS,
    SERIES,
    SETTINGS,
    STORE,
    USAGE,
    AlertKeeper,
    ApiSettings,
    Clock,
    MetricsPage,
    ReplicaNotes,
    ScriptKeeper,
)
from aggregator.api.lists import LISTS, ListRoute, handler_of
from aggregator.api.origin import check_origin
from aggregator.api.parameters import check_names
from aggregator.api.route import AREAS_OF_PATHS, Handler, Route
from aggregator.api.routes import ROUTES
from aggregator.api.unchanged import GIVEN, GivenAnswers
from aggregator.queries.around import AroundQueries
from aggregator.queries.history import HistoryQueries
from aggregator.queries.jobs import JobQueries
from aggregator.queries.scripts import ScriptQueries
from aggregator.queries.series import SeriesQueries
from aggregator.queries.usage import UsageQueries
from aggregator.refresh.store import SnapshotStore


def create_app(
    store: SnapshotStore,
    jobs: JobQueries,
    history: HistoryQueries,
    around: AroundQueries,
    scripts: ScriptQueries,
    keeper: ScriptKeeper,
    alerts: AlertKeeper,
    settings: ApiSettings,
    page: MetricsPage,
    clock: Clock = time.time,
    observe: Observe = lambda *_: None,
    users: Mapping[str, str] | None = None,
    *,
    refuse: Refuse = lambda _: None,
    api_at_once: Callable[[], int] | None = None,
    usage: UsageQueries,
    series: SeriesQueries,
    replicas: Mapping[str, ReplicaNotes] = MappingProxyType({}),
    lists: Sequence[ListRoute[Any]] = (),
    count_alerts: Callable[[str, int], None] = lambda *_: None,
) -> web.Application:
    """Build the application; its handlers read these and nothing else.

    users maps names to bcrypt hashes, and may change; None when nobody will ever need a password.
    refuse counts by reason what is refused, count_alerts by outcome what Alertmanager sends; api_at_once says how many
    API requests may be under way. lists have paths of their own.
    """
    limits = ClientLimits(refuse, api_at_once or (lambda: settings.bounds.connections // 2))
    guards = [] if users is None else [basic_auth(users)]
    middlewares = [
        instrument(observe), answer_errors, deadline(refuse), identify, *guards, check_origin(refuse), limits.apply,
        check_access,
    ]  # fmt: skip
    app = web.Application(middlewares=middlewares)
    app[STORE], app[JOBS], app[SETTINGS], app[PAGE], app[CLOCK] = store, jobs, settings, page, clock
    app[HISTORY], app[AROUND], app[REPLICAS] = history, around, replicas
    app[SCRIPTS], app[SCRIPT_KEEPER], app[USAGE] = scripts, keeper, usage
    app[SERIES], app[ALERTS], app[COUNT_ALERTS] = series, alerts, count_alerts
    app[GIVEN] = GivenAnswers()
    app.on_response_prepare.append(add_security_headers)
    setup_routes(app, lists)
    return app


def setup_routes(app: web.Application, lists: Iterable[ListRoute[Any]] = ()) -> None:
    """Add every URL of the service."""
    app[LISTS] = {each.path: each for each in lists}
    app[AREAS_OF_PATHS] = {path: each.area for path, each in app[LISTS].items()}
    add_routes(app, ROUTES)
    app.add_routes([web.get(path, handler_of(each)) for path, each in app[LISTS].items()])


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Add routes to an application that has the API's."""
    for route in routes:
        app[AREAS_OF_PATHS][route.path] = route.area
        add = app.router.add_get if route.method == "GET" else partial(app.router.add_route, route.method)
        add(route.path, _handler(route))


def _handler(route: Route) -> Handler:
    """Make a handler that refuses parameters that its route does not declare."""
    if route.listed:
        return route.handler
    known = [each.name for each in route.parameters]

    async def answer(request: web.Request) -> web.StreamResponse:
        check_names(request.query, known)
        return await route.handler(request)

    return answer
