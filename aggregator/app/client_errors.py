"""What clients do wrong on the connection, kept out of the log: anybody can send it, and it may hold a secret."""

import logging
from collections.abc import Callable

from aiohttp.http_exceptions import HttpProcessingError

_log = logging.getLogger(__name__)


class ClientErrors(logging.Filter):
    """Make one debug line without content of each request that is not HTTP, and of each client that has left.

    aiohttp logs them with the bytes that it could not read: a header with a token in it, for one.
    """

    def __init__(self, refuse: Callable[[str], None]) -> None:
        super().__init__()
        self._refuse = refuse

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether aiohttp's own line is written."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._refuse("malformed")
        elif not isinstance(error, ConnectionError):
            return True
        client = record.args[0] if isinstance(record.args, tuple) and record.args else "unknown"
        _log.debug("a client's request ended early: client=%s error=%s", client, type(error).__name__)
        return False
