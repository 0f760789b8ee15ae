"""The HTTP server around a service: listens, ends on a signal, closes everything."""

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from aggregator.api import ApiSettings, create_app
from aggregator.app.service import Service
from aggregator.config import ListenAddress

_log = logging.getLogger(__name__)
# Requests under way get this long when the service ends; SIGTERM must end it within 5 s.
SHUTDOWN_SECONDS = 2.0


class StartError(Exception):
    """The service cannot start; the text says what to change."""


@asynccontextmanager
async def listen(
    service: Service,
    settings: ApiSettings,
    address: ListenAddress,
    users: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[asyncio.Event]:
    """Answer HTTP requests while the body runs; the event is set by SIGTERM and SIGINT.

    users maps names to bcrypt hashes; while there are none, nobody needs a password.

    Raises StartError when the address cannot be listened on.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    app = create_app(
        service.store,
        service.jobs,
        service.history,
        service.around,
        service.scripts,
        service.state.scripts,
        settings,
        service.page,
        observe=service.metrics.observe_request,
        users=users,
        usage=service.usage,
        series=service.series,
        replicas=service.replicas,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host or None, address.port, ssl_context=tls).start()
        except OSError as error:
            raise StartError(f"server.listen_address: cannot listen on {address}: {error.strerror}") from error
        _log.info("listening: address=%s", address)
        yield ended
    finally:
        await service.stop()
        await service.state.close()
        await runner.cleanup()
        _log.info("ended")
