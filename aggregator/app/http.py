"""The HTTP server around a service: listens, ends on a signal, closes everything."""

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.log import server_logger
from isal import isal_zlib

from aggregator.api.application import Counts, create_app
from aggregator.api.keys import ApiSettings
from aggregator.api.lists import ListRoute
from aggregator.app.client_errors import ClientErrors
from aggregator.app.doors import KEEP_ALIVE_SECONDS, Doors
from aggregator.app.errors import StartError
from aggregator.app.service import Service
from aggregator.config import ListenAddress
from aggregator.pages.routes import add_pages

_log = logging.getLogger(__name__)
# Requests under way get this long when the service ends; SIGTERM must end it within 5 s.
SHUTDOWN_SECONDS = 2.0
# For a client that is still sending when it is refused: its answer would be lost with the connection.
LINGERING_SECONDS = 2.0


@asynccontextmanager
async def listen(
    service: Service,
    settings: ApiSettings,
    addresses: Sequence[ListenAddress],
    users: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    lists: Sequence[ListRoute[Any]] = (),
) -> AsyncIterator[asyncio.Event]:
    """Answer HTTP requests while the body runs; the event is set by SIGTERM and SIGINT.

    users maps names to bcrypt hashes; while there are none, nobody needs a password. lists have paths of their own.

    Raises StartError when one of the addresses cannot be listened on.
    """
    # Of zlib's own, a list of 100 jobs takes longer than all else of its answer.
    aiohttp.set_zlib_backend(isal_zlib)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    doors = Doors(settings, service.metrics.count_refused)
    service.metrics.watch_http(doors.connections, doors.in_flight)
    client_errors = ClientErrors(doors.refuse)
    server_logger.addFilter(client_errors)
    runner = _runner(service, settings, doors, users, lists)
    await runner.setup()
    assert runner.server is not None
    try:
        for address in addresses:
            await _listen_on(doors, runner.server, address, tls)
        yield ended
    finally:
        await doors.close()
        server_logger.removeFilter(client_errors)
        await service.stop()
        await service.state.close()
        await runner.cleanup()
        _log.info("ended")


def _runner(
    service: Service,
    settings: ApiSettings,
    doors: Doors,
    users: Mapping[str, str] | None,
    lists: Sequence[ListRoute[Any]],
) -> web.AppRunner:
    """Make the application, and what runs it behind the doors."""
    metrics = service.metrics
    app = create_app(
        service.answer_sources,
        settings,
        lists=lists,
        users=users,
        counts=Counts(request=metrics.observe_request, refused=doors.refuse, alerts=metrics.count_alerts),
        api_at_once=lambda: doors.places() // 2,
    )
    add_pages(app)
    app.middlewares.insert(0, doors.track)
    return web.AppRunner(
        app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False, handler_cancellation=True,
        keepalive_timeout=KEEP_ALIVE_SECONDS, lingering_time=LINGERING_SECONDS,
    )  # fmt: skip


async def _listen_on(doors: Doors, server: web.Server, address: ListenAddress, tls: ssl.SSLContext | None) -> None:
    try:
        await doors.open(server, address.host or None, address.port, tls)
    except OSError as error:
        raise StartError(f"server.listen_address: cannot listen on {address}: {error.strerror}") from error
    _log.info("listening: address=%s", address)
