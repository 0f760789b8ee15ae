"""/metrics and /-/healthy of the agent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from aggregator.document.types import ListenAddress
from jobscript_ingest.settings import FlagError

_SHUTDOWN_SECONDS = 1.0


def create_app(registry: CollectorRegistry) -> web.Application:
    """Make the two pages."""

    async def metrics(request: web.Request) -> web.Response:
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        # Not on the event loop: it asks the spool.
        page = await asyncio.to_thread(encoder, registry)
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def healthy(request: web.Request) -> web.Response:
        return web.Response(text="hpc-jobscript-ingest is healthy.\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/-/healthy", healthy)
    return app


@asynccontextmanager
async def listen(registry: CollectorRegistry, address: ListenAddress) -> AsyncIterator[None]:
    """Answer while the body runs.

    Raises FlagError when the address cannot be listened on.
    """
    runner = web.AppRunner(create_app(registry), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host or None, address.port).start()
        except OSError as error:
            raise FlagError(f"--web.listen-address: cannot listen on {address}: {error.strerror}") from error
        yield
    finally:
        await runner.cleanup()
