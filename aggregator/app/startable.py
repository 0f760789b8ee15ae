"""What `serve` needs beside its sources: an address that is free, its certificate, the state."""

import asyncio
import errno
import socket
from collections.abc import Sequence

from aggregator.app.auth import open_areas
from aggregator.app.check import Attempt, Outcome, attempt_all
from aggregator.app.http import server_tls
from aggregator.config import Config, ListenAddress, WebConfig
from aggregator.sources.base import FetchError
from aggregator.state.probe import probe


def check_start(config: Config, addresses: Sequence[ListenAddress], web_config: WebConfig | None) -> None:
    """See whether `serve` would start here.

    Raises StartError with what to change: a certificate, or an address that is open without auth.
    """
    for address in addresses:
        open_areas(address, config.auth, web_config)
    if web_config:
        check_web(web_config)


def check_web(web_config: WebConfig) -> None:
    """See whether the certificate and its key can be used.

    Raises StartError.
    """
    if web_config.tls_server_config:
        server_tls(web_config.tls_server_config)


async def try_start(config: Config, addresses: Sequence[ListenAddress]) -> list[Outcome]:
    """Try whether the addresses can be listened on, and whether the state can be reached."""
    binding = [Attempt(f"server.listen_address {address}", lambda a=address: _bind(a)) for address in addresses]  # type: ignore[misc]
    return await attempt_all([*binding, Attempt("state.url", lambda: probe(config.state))])


async def _bind(address: ListenAddress) -> Outcome:
    """Listen and stop at once. An address in use is no error: the service itself may be running."""
    what = f"server.listen_address {address}"
    try:
        server = await asyncio.start_server(lambda *_: None, address.host or None, address.port)
    except socket.gaierror as error:
        raise FetchError(f"server.listen_address: {address}: this host is not known: {error.strerror}") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise FetchError(f"server.listen_address: cannot listen on {address}: {error.strerror}") from error
        return Outcome(
            what, "in use", warnings=("in use: another process listens there, or this service already runs",)
        )
    server.close()
    await server.wait_closed()
    return Outcome(what, "free")
