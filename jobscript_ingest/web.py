"""/metrics and /-/healthy of the agent.

Of aiohttp's server only what speaks HTTP: routes and applications are memory that two pages do not need.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response
from aiohttp.web_server import Server
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from aggregator.document.types import ListenAddress
from jobscript_ingest.settings import FlagError

_SHUTDOWN_SECONDS = 1.0


def answers(registry: CollectorRegistry) -> Callable[[BaseRequest], Awaitable[Response]]:
    """Make what answers requests for the two pages."""

    async def answer(request: BaseRequest) -> Response:
        if request.path not in ("/metrics", "/-/healthy"):
            return Response(status=404, text="404: Not Found")
        if request.method not in ("GET", "HEAD"):
            return Response(status=405, text="405: Method Not Allowed", headers={"Allow": "GET,HEAD"})
        if request.path == "/-/healthy":
            return Response(text="hpc-jobscript-ingest is healthy.\n")
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        # Not on the event loop: it asks the spool.
        page = await asyncio.to_thread(encoder, registry)
        return Response(body=page, headers={"Content-Type": content_type})

    return answer


@asynccontextmanager
async def listen(registry: CollectorRegistry, address: ListenAddress) -> AsyncIterator[None]:
    """Answer while the body runs.

    Raises FlagError when the address cannot be listened on.
    """
    server = Server(answers(registry), access_log=None)
    try:
        sockets = await asyncio.get_running_loop().create_server(server, address.host or None, address.port)
    except OSError as error:
        raise FlagError(f"--web.listen-address: cannot listen on {address}: {error.strerror}") from error
    try:
        yield
    finally:
        sockets.close()
        await server.shutdown(_SHUTDOWN_SECONDS)
