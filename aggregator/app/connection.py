"""One connection of the HTTP server: passes everything on to aiohttp, and knows what its client is doing."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final

from aiohttp import web

# Those of the event loop until bytes that came with a connection have become a request, and some more.
_TURNS: Final = 8
# An honest client has sent its header by then, or has read something.
_GRACE_SECONDS: Final = 1.0
# A client that reads takes at least this much in the time that it is given.
_PROGRESS_BYTES: Final = 64 * 1024


class State(IntEnum):
    """What a connection is doing. Where room is needed, the lowest goes first, and HANDLED never goes."""

    WAITED_FOR = 0  # no complete header yet
    IDLE = 1  # kept alive between two requests
    SLOW = 2  # its client does not send the rest of the body, or does not read the rest of the answer
    FRESH = 3  # one of these, and not for long: an honest client may well be about to go on
    HANDLED = 4  # its answer is being made, or it is so new that nothing of it can have been read


class Connection(asyncio.Protocol):
    """A connection from its acceptance on, which is before the TLS handshake.

    `since` is when its client last did something, in the loop's seconds. `lost` is called once, when it has ended.
    """

    def __init__(
        self, inner: web.RequestHandler, sock: socket.socket, address: str, lost: Callable[["Connection"], None]
    ) -> None:
        self.inner = inner
        self.address = address
        self.request: web.BaseRequest | None = None
        self._sock = sock
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._clock = asyncio.get_running_loop().time
        self.since = self._clock()
        self._waited_for = True
        self._turns = _TURNS
        asyncio.get_running_loop().call_soon(self._take_turn)
        self._unread, self._read_at = 0, self.since

    # -- what the client does

    def begin(self, request: web.BaseRequest) -> None:
        """Take note that a request has come."""
        self.request, self._waited_for, self.since = request, False, self._clock()

    def end(self) -> None:
        """Take note that its answer is made, which may still have to be sent."""
        self.request, self.since = None, self._clock()

    @property
    def state(self) -> State:
        """Tell what the connection is doing."""
        state = self._doing()
        if state is State.HANDLED or self._clock() - self.since >= _GRACE_SECONDS:
            return state
        return State.HANDLED if self._turns else State.FRESH

    def is_late(self, header_seconds: float) -> bool:
        """Tell whether a request has been coming for longer than this without a complete header."""
        return self._doing() is State.WAITED_FOR and self._clock() - self.since > header_seconds

    def is_stuck(self, seconds: float) -> bool:
        """Tell whether the client has read next to nothing of an answer for this long; to be asked now and then."""
        size = self._buffered()
        if not size or not self._unread or size <= self._unread - _PROGRESS_BYTES:
            self._unread, self._read_at = size, self._clock()
        self._unread = max(self._unread, size)
        return bool(size) and self._clock() - self._read_at > seconds

    def abort(self) -> None:
        """End it now, whatever has not been sent."""
        if self._transport is not None:
            self._transport.abort()
        else:
            # In the TLS handshake, where asyncio gives nobody the transport.
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def _doing(self) -> State:
        if self._buffered():
            return State.SLOW
        if self.request is not None:
            return State.HANDLED if self.request.content.is_eof() else State.SLOW
        return State.WAITED_FOR if self._waited_for else State.IDLE

    def _take_turn(self) -> None:
        self._turns -= 1
        if self._turns:
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _buffered(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport else 0

    # -- what asyncio tells, passed on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102
        self._transport = None
        self._lost(self)
        self.inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # noqa: D102
        # Bytes of a header do not count: the whole of it has to come in time.
        if self.request is not None or not self._waited_for:
            self._waited_for, self.since = self.request is None, self._clock()
        self.inner.data_received(data)

    def eof_received(self) -> None:  # noqa: D102
        self.inner.eof_received()

    def pause_writing(self) -> None:  # noqa: D102
        self.inner.pause_writing()

    def resume_writing(self) -> None:  # noqa: D102
        # Most of what was unread has been read, though more may follow at once.
        self._unread, self.since = 0, self._clock()
        self.inner.resume_writing()
