"""Log lines as logfmt or JSON, one a line, on standard error."""

import json
import logging
from datetime import UTC, datetime

from aiohttp.web_protocol import RequestPayloadError

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class LogfmtFormatter(logging.Formatter):
    """Write `ts=… level=… logger=… msg="…"` with everything quoted that could break a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record on one line."""
        return " ".join(f"{key}={_quoted(value)}" for key, value in _fields(self, record).items())


class JsonFormatter(logging.Formatter):
    """Write one JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record on one line."""
        return _dumped(_fields(self, record))


def set_up_logging(level: str, form: str) -> None:
    """Send the root logger to standard error in the chosen form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    # Who looked at whose data is written whatever the level.
    logging.getLogger("aggregator.audit").setLevel(logging.INFO)
    # Its notes on each start are of interest to developers only.
    logging.getLogger("alembic").setLevel(max(_LEVELS[level], logging.WARNING))
    logging.getLogger("aiohttp.server").addFilter(_is_not_the_clients)
    # A server that dies is a StateError, which is logged once; the pool would add a trace for each connection.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


def _is_not_the_clients(record: logging.LogRecord) -> bool:
    """Leave out a body that cannot be decompressed: anybody can send one, and the answer has told the sender."""
    return not (record.exc_info and isinstance(record.exc_info[1], RequestPayloadError))


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, str]:
    fields = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower().replace("warning", "warn"),
        "logger": record.name,
        "msg": record.getMessage(),
    }
    if record.exc_info:
        fields["trace"] = formatter.formatException(record.exc_info)
    return fields


def _quoted(value: str) -> str:
    plain = value.isascii() and value.isprintable() and not any(character in value for character in ' "=\\')
    return value if plain and value else _dumped(value)


def _dumped(value: object) -> str:
    """Write JSON in which everything can be seen: what a terminal would obey, or show in another order, is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    # Category C: C1 controls, bidirectional overrides, zero widths, halves of surrogate pairs; Z: U+2028 and U+2029.
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)
