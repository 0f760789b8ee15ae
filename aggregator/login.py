"""Log in to MariaDB or MySQL without handing the password to whoever answers.

aiomysql goes on in clear text where the server, or who pretends to be it, does not offer TLS, and then gives the
password in whatever form it is asked for.
"""

import asyncio
from typing import Any, Final

import aiomysql
from pymysql.constants import CLIENT, CR
from pymysql.err import OperationalError

# By these the password is sent, under a key that anybody can have made, or so weakly hashed that it can be found.
_CLEAR: Final = frozenset({"mysql_clear_password", "mysql_old_password", "sha256_password"})
# What caching_sha2_password sends as its second byte when the hash is not enough, and it wants the password.
_FULL_AUTHENTICATION: Final = 4
_ASKED: Final = "the server asks for the password itself ({}) without TLS: not logged in; set tls"


class LoginRefusedError(OperationalError):  # type: ignore[misc]
    """We did not log in: the connection is not as safe as it must be."""

    def __init__(self, text: str) -> None:
        super().__init__(CR.CR_SSL_CONNECTION_ERROR, text)


class TooLargeError(OperationalError):  # type: ignore[misc]
    """The server sends more than was allowed; the connection is of no use any more."""


class Connection(aiomysql.Connection):  # type: ignore[misc]
    """A connection that logs in by TLS where it is given, and else shows the password to nobody."""

    _allowed = float("inf")

    def allow(self, size: int) -> None:
        """Let the server send so many bytes from now on."""
        self._allowed = size

    async def _read_bytes(self, num_bytes: int) -> bytes:
        # Before they are read: a packet says how long it is, and rows of several packets are put together.
        self._allowed -= num_bytes
        if self._allowed < 0:
            self.close()
            raise TooLargeError(CR.CR_NET_PACKET_TOO_LARGE, "the server sent too much")
        data: bytes = await super()._read_bytes(num_bytes)
        return data

    @property
    def encryption(self) -> str:
        """Name the version of TLS that is used, "" without."""
        session = self._writer.get_extra_info("ssl_object") if self._writer else None
        return str(session.version()) if session else ""

    def close(self) -> None:
        """Close it at once: TLS's good-bye would be waited for as long as a server is silent."""
        transport = self._writer.transport if self._writer else None
        is_encrypted = bool(self.encryption)
        super().close()
        if transport and is_encrypted:
            transport.abort()

    async def _request_authentication(self) -> None:
        if self._ssl_context:
            if not self.server_capabilities & CLIENT.SSL:
                raise LoginRefusedError("the server does not offer TLS, and tls is set: not logged in")
            await super()._request_authentication()
            return
        self._refuse(self._server_auth_plugin)
        # Only while logging in: later, each row is a packet.
        self._read_packet = self._read_login_packet
        try:
            await super()._request_authentication()
        finally:
            del self._read_packet

    async def _read_login_packet(self) -> Any:
        packet = await super()._read_packet()
        data: bytes = packet.get_all_data()
        if packet.is_auth_switch_request():
            name, end, _ = data[1:].partition(b"\0")
            # Without a name it is the login of MySQL 4.0.
            self._refuse(name.decode("latin1") if end else "mysql_old_password")
        if packet.is_extra_auth_data() and data[1:2] == bytes([_FULL_AUTHENTICATION]):
            raise LoginRefusedError(_ASKED.format("caching_sha2_password, full authentication"))
        return packet

    def _refuse(self, plugin: str) -> None:
        if plugin in _CLEAR:
            raise LoginRefusedError(_ASKED.format(plugin))


async def connect(**settings: Any) -> Connection:
    """Connect and log in, with the settings of aiomysql.connect.

    Raises pymysql.err.MySQLError: LoginRefusedError for what is not safe.
    """
    connection = Connection(**settings)
    await connection._connect()
    return connection


class Pool(aiomysql.Pool):  # type: ignore[misc]
    """A pool of such connections, which opens none before it is asked for one."""

    def __init__(self, size: int, recycle_seconds: float, **settings: Any) -> None:
        super().__init__(0, size, False, recycle_seconds, asyncio.get_running_loop(), **settings)

    async def _fill_free_pool(self, override_min: bool) -> None:
        # Without a least size it opens none, and closes those that are dead or too old.
        await super()._fill_free_pool(False)
        if self._free or not override_min or self.size >= self.maxsize:
            return
        self._acquiring += 1
        try:
            self._free.append(await connect(**self._conn_kwargs))
            self._cond.notify()
        finally:
            self._acquiring -= 1
