"""The doors of the HTTP server: few enough connections for the descriptors, none for ever, always room for one more.

A new connection is never refused. When all places are taken, the one whose client does least makes room: one without a
complete header, then an idle one, then one whose client does not send or does not read; among these one of the address
that has most of them, and of those the one that has done nothing for longest. Accepting pauses only while every single
one is being answered.
"""

import asyncio
import errno
import heapq
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from aggregator.api.address import address_key
from aggregator.api.keys import ApiSettings
from aggregator.app.connection import Connection, State

_log = logging.getLogger(__name__)
BACKLOG: Final = 1024
# What waits for a reverse proxy's own connections: nginx keeps them for 60 s.
KEEP_ALIVE_SECONDS: Final = 75.0
_SWEEP_SECONDS: Final = 1.0
_SAID_EVERY_SECONDS: Final = 60.0
# Of the places, an eighth is taken anew in one turn of the event loop, and these make room at once.
_AT_ONCE: Final = 8
_CLOSED_AT_ONCE: Final = 32
_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Until a place or a descriptor is free.
_PAUSE_SECONDS: Final = 0.01
_LONG_PAUSE_SECONDS: Final = 1.0


class Doors:
    """Accept connections for an aiohttp server, within the bounds of the settings.

    `refused` counts by reason what was turned away, here and elsewhere.
    """

    def __init__(self, settings: ApiSettings, refused: Callable[[str], None]) -> None:
        self._settings = settings
        self._count = refused
        self._open: dict[Connection, None] = {}
        self._of: dict[object, Connection] = {}
        self._turned_away: Counter[str] = Counter()
        self._said_at = -_SAID_EVERY_SECONDS
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = _places(settings.bounds.connections)

    # -- for metrics and middlewares

    def connections(self) -> int:
        """Count the open connections."""
        return len(self._open)

    def in_flight(self) -> int:
        """Count the requests that are being answered."""
        return sum(connection.request is not None for connection in self._open)

    def places(self) -> int:
        """Give how many connections there may be."""
        wanted, places = self._places
        # A reload changes it.
        if self._settings.bounds.connections != wanted:
            self._places = wanted, places = _places(self._settings.bounds.connections)
        return places

    def refuse(self, reason: str) -> None:
        """Count something that is turned away; the log says it once a minute."""
        self._count(reason)
        self._turned_away[reason] += 1

    @web.middleware
    async def track(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Know which connection is at work on a request."""
        connection = self._of.get(request.protocol)
        if connection is None:
            return await handler(request)
        connection.begin(request)
        try:
            return await handler(request)
        finally:
            connection.end()

    # -- opening and closing

    async def open(self, server: web.Server, host: str | None, port: int, tls: ssl.SSLContext | None) -> None:
        """Listen on an address.

        Raises OSError.
        """
        loop = asyncio.get_running_loop()
        # It binds as asyncio does; we accept ourselves, for asyncio has no bound on it.
        bound = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
        listeners = [sock.dup() for sock in bound.sockets]
        bound.close()
        if not self._listeners:
            self._keep_running(self._sweep)
        self._listeners += listeners
        for listener in listeners:
            listener.setblocking(False)
            listener.listen(BACKLOG)
            self._keep_running(partial(self._accept, listener, server, tls))

    async def close(self) -> None:
        """Accept nothing more, and end what nothing is to be waited for; the others are the server's to end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        for connection in list(self._open):
            if connection.state <= State.SLOW:
                connection.abort()

    def _start(self, coroutine: Coroutine[None, None, None], ended: Callable[[asyncio.Task[None]], None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(ended)

    def _keep_running(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Begin again what a bug of ours has ended: without it nobody would be let in."""

        def begin_again(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                _log.error("the doors failed", exc_info=task.exception())
                asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._keep_running, work)

        self._start(work(), begin_again)

    # -- letting in

    async def _accept(self, listener: socket.socket, server: web.Server, tls: ssl.SSLContext | None) -> None:
        loop, accepted = asyncio.get_running_loop(), 0
        while True:
            await self._until_room()
            try:
                sock, peer = await loop.sock_accept(listener)
            except OSError as error:
                # Something else of this process has taken what is not ours; or that client has left already.
                if error.errno in _NO_DESCRIPTOR:
                    self._make_room("no_descriptor")
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            try:
                self._let_in(sock, str(peer[0]), server, tls)
            except BaseException:
                sock.close()
                raise
            # A descriptor is free only after a turn of the event loop, which the others wait for as well.
            accepted = (accepted + 1) % max(1, self.places() // _AT_ONCE)
            if not accepted:
                await asyncio.sleep(0)

    def _let_in(self, sock: socket.socket, address: str, server: web.Server, tls: ssl.SSLContext | None) -> None:
        if self._is_full():
            self._make_room("evicted")
        connection = Connection(server(), sock, address_key(address), self._forget)
        self._open[connection] = None
        self._of[connection.inner] = connection
        self._start(self._serve(connection, sock, tls), lambda _: None)

    async def _serve(self, connection: Connection, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Begin a connection: what asyncio does after an accept."""
        seconds = self._settings.bounds.header_timeout
        limits = {"ssl_handshake_timeout": seconds, "ssl_shutdown_timeout": seconds} if tls else {}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock, ssl=tls, **limits)
        except OSError as error:
            if tls and connection in self._open:
                self.refuse("handshake")
            self._forget(connection)
            _log.debug("a connection did not come about: error=%s", type(error).__name__)

    def _forget(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self._of.pop(connection.inner, None)

    async def _until_room(self) -> None:
        """Wait while every place is taken by a request that is being answered, or by one that is about to be read."""
        begin = said = asyncio.get_running_loop().time()
        while self._is_full() and all(connection.state is State.HANDLED for connection in self._open):
            await asyncio.sleep(_PAUSE_SECONDS)
            now = asyncio.get_running_loop().time()
            if said == begin and now - begin > _LONG_PAUSE_SECONDS:
                self.refuse("paused")
                said = now

    # -- turning away

    def _is_full(self) -> bool:
        return len(self._open) >= self.places()

    def _make_room(self, reason: str) -> None:
        """Close those whose clients do least: some at once, for to look at all takes longer than to accept one."""
        of_address = Counter(connection.address for connection in self._open)
        by_use = (
            (state, -of_address[connection.address], connection.since, number, connection)
            for number, connection in enumerate(self._open)
            if (state := connection.state) is not State.HANDLED
        )
        for *_, connection in heapq.nsmallest(max(1, self.places() // _CLOSED_AT_ONCE), by_use):
            self.refuse(reason)
            self._forget(connection)
            connection.abort()

    async def _sweep(self) -> None:
        """End what takes too long, and say what was turned away."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            bounds = self._settings.bounds
            for connection in list(self._open):
                if connection.is_late(bounds.header_timeout):
                    self.refuse("header_timeout")
                    connection.abort()
                elif connection.is_stuck(bounds.request_timeout):
                    self.refuse("slow_reader")
                    connection.abort()
            self._say()

    def _say(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._turned_away and now - self._said_at >= _SAID_EVERY_SECONDS:
            counts = " ".join(f"{reason}={count}" for reason, count in sorted(self._turned_away.items()))
            _log.warning("clients were turned away or made to wait: open=%d %s", len(self._open), counts)
            self._turned_away.clear()
            self._said_at = now


def _places(connections: int) -> tuple[int, int]:
    """Ask for the descriptors that so many connections need; give both this number and that for which they suffice.

    Half of the descriptors are for connections; the others are for databases, Prometheus, files and threads.
    """
    wanted = 2 * connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections, connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    # A unit of systemd may forbid it.
    with suppress(OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft < wanted:
        _log.warning(
            "server.bounds.connections: only %d connections at once, for the limit of open files is %d (ulimit -n)",
            soft // 2, soft,
        )  # fmt: skip
    return connections, soft // 2
