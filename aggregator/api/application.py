"""The application: every URL of the service, and what each request passes on its way."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from aiohttp import web

from aggregator.api.access import check_access, identify
from aggregator.api.basic_auth import basic_auth
from aggregator.api.bounds import ClientLimits, Refuse, deadline
from aggregator.api.cluster_lists import JOBS_PATH
from aggregator.api.errors import answer_errors
from aggregator.api.headers import add_security_headers
from aggregator.api.instrument import Observe, instrument
from aggregator.api.keys import (
    ALERTS,
    CLOCK,
    COUNT_ALERTS,
    DETAILS,
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
    AnswerSources,
    ApiSettings,
    Clock,
)
from aggregator.api.lists import LISTS, ListRoute, handler_of
from aggregator.api.origin import check_origin
from aggregator.api.parameters import check_names
from aggregator.api.route import AREAS_OF_PATHS, Handler, Route
from aggregator.api.routes import ROUTES
from aggregator.api.unchanged import GIVEN, GivenAnswers


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is counted: how long each request took, what is refused by reason, and alerts by what became of them."""

    request: Observe = lambda *_: None
    refused: Refuse = lambda _: None
    alerts: Callable[[str, int], None] = lambda *_: None


_NOT_COUNTED: Final = Counts()


def create_app(
    sources: AnswerSources,
    settings: ApiSettings,
    *,
    lists: Iterable[ListRoute[Any]] = (),
    users: Mapping[str, str] | None = None,
    counts: Counts = _NOT_COUNTED,
    clock: Clock = time.time,
    api_at_once: Callable[[], int] | None = None,
) -> web.Application:
    """Build the application; its handlers read these and nothing else.

    lists have paths of their own. users maps names to bcrypt hashes, and may change; None when nobody will ever need a
    password. api_at_once says how many API requests may be under way.
    """
    limits = ClientLimits(counts.refused, api_at_once or (lambda: settings.bounds.connections // 2))
    guards = [] if users is None else [basic_auth(users)]
    app = web.Application(middlewares=[
        instrument(counts.request), answer_errors, deadline(counts.refused), identify, *guards,
        check_origin(counts.refused), limits.apply, check_access,
    ])  # fmt: skip
    queries = sources.queries
    app[STORE], app[PAGE], app[SETTINGS], app[CLOCK] = sources.store, sources.page, settings, clock
    app[JOBS], app[HISTORY], app[DETAILS], app[SCRIPTS] = (
        queries.jobs,
        queries.history,
        queries.details,
        queries.scripts,
    )
    app[USAGE], app[SERIES], app[REPLICAS] = queries.usage, queries.series, queries.replicas
    app[SCRIPT_KEEPER], app[ALERTS], app[COUNT_ALERTS] = sources.scripts, sources.alerts, counts.alerts
    app[GIVEN] = GivenAnswers(sources.store, settings)
    app.on_cleanup.append(app[GIVEN].close)
    app.on_response_prepare.append(add_security_headers)
    setup_routes(app, lists)
    return app


def setup_routes(app: web.Application, lists: Iterable[ListRoute[Any]] = ()) -> None:
    """Add every URL of the service."""
    app[LISTS] = {each.path: each for each in lists}
    app[AREAS_OF_PATHS] = {path: each.area for path, each in app[LISTS].items()}
    of_lists = [
        Route(path=path, handler=handler_of(each), area=each.area, listed=each.listed)
        for path, each in app[LISTS].items()
    ]
    # Of routes that begin alike the router tries one after the other: those that are asked for most go first.
    add_routes(app, sorted((*of_lists, *ROUTES), key=lambda route: not route.path.startswith(JOBS_PATH)))


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Add routes to an application that has the API's."""
    for route in routes:
        app[AREAS_OF_PATHS][route.path] = route.area
        add = app.router.add_get if route.method == "GET" else partial(app.router.add_route, route.method)
        add(route.path, _handler(route))


def _handler(route: Route) -> Handler:
    """Make a handler that refuses parameters that its route does not declare."""
    if route.listed or route.takes_any:
        return route.handler
    known = [each.name for each in route.parameters]

    async def answer(request: web.Request) -> web.StreamResponse:
        check_names(request.query, known)
        return await route.handler(request)

    return answer
