"""Hold passwords and tokens so that nothing prints them by accident."""

import re
from pathlib import Path
from typing import Annotated, Final, Protocol

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from aggregator.document.reading import quote
from aggregator.document.types import directory, must_be, refused, split_url

MASK: Final = "<secret>"
SCHEMES: Final = ("sqlite", "mysql", "mariadb", "postgresql")

_MAX_URL_LENGTH: Final = 2048
_WORLD_READABLE: Final = 0o004
_USER_PASSWORD: Final = re.compile(r"(://[^:@/]*:).*(?=@)", re.DOTALL)
_QUERY_PASSWORD: Final = re.compile(r"([?&](?:password|passwd)=)[^&]*")


class SecretSource(Protocol):
    """Give a secret, wherever it is kept."""

    def get(self) -> str:
        """Give the secret in clear text."""
        ...


class Secret:
    """Hold a secret that was written in the file or in the environment."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get(self) -> str:
        """Give the secret in clear text."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class SecretFile:
    """Hold the path of a file with a secret, which is read at each use."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self) -> str:
        """Read the secret without its final newline; raise OSError or UnicodeDecodeError."""
        return self.path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")

    @property
    def is_world_readable(self) -> bool:
        """Say whether every user of the machine may read the file."""
        return bool(self.path.stat().st_mode & _WORLD_READABLE)

    def __repr__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretFile) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)


class DatabaseUrl(Secret):
    """Hold the URL of a database, whose password is not printed."""

    __slots__ = ()

    @property
    def scheme(self) -> str:
        """Give the kind of database."""
        return self._text.partition(":")[0]

    def __repr__(self) -> str:
        return _QUERY_PASSWORD.sub(rf"\1{MASK}", _USER_PASSWORD.sub(rf"\1{MASK}", self._text))


def _read_secret(value: object) -> Secret:
    if not isinstance(value, str):
        raise refused(f"must be a string, got {MASK}")
    if not value:
        raise refused("must be a non-empty string")
    return Secret(value)


def _read_secret_file(value: object, info: ValidationInfo) -> SecretFile:
    if not isinstance(value, str):
        raise must_be("the path of a file")
    source = SecretFile(directory(info) / value)
    try:
        source.get()
    except OSError as error:
        raise refused(f"cannot read {quote(str(source.path))}: {error.strerror}") from None
    except ValueError:
        raise refused(f"cannot read {quote(str(source.path))}: not UTF-8 text") from None
    return source


def _read_database_url(value: object) -> DatabaseUrl:
    wanted = "a URL such as sqlite:////var/lib/hpc-aggregator/state.db, mysql://…, mariadb://… or postgresql://…"
    url = split_url(value) if isinstance(value, str) and len(value) <= _MAX_URL_LENGTH else None
    if not isinstance(value, str) or url is None or not value.startswith(tuple(f"{name}://" for name in SCHEMES)):
        raise must_be(wanted)
    if url.scheme != "sqlite" and not url.hostname:
        raise must_be(wanted)
    return DatabaseUrl(value)


_MASKED: Final = PlainSerializer(repr, return_type=str, when_used="json")

SecretText = Annotated[Secret, PlainValidator(_read_secret), _MASKED]
SecretFilePath = Annotated[SecretFile, PlainValidator(_read_secret_file), _MASKED]
StateUrl = Annotated[DatabaseUrl, PlainValidator(_read_database_url), _MASKED]
