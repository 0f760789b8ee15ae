"""The file of `auth.tokens.file`: a YAML list with one entry a token, which holds hashes and no token."""

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, PlainValidator, TypeAdapter, ValidationError, model_validator

from aggregator.api.tokens.scope import ScopeError, check_scopes
from aggregator.document.mistake import KeyPath, Mistake, format_path
from aggregator.document.reading import Document, read_document
from aggregator.document.section import Section
from aggregator.document.types import must_be, refused
from aggregator.document.wording import explain
from aggregator.model.moment import rfc3339
from aggregator.model.token import ID_LENGTH

NEVER = "never"
MAX_NAME = 100
_ID = re.compile(rf"[0-9a-z]{{{ID_LENGTH}}}", re.ASCII)
_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_HEADER = "# Written by `hpc-aggregator token`. It holds hashes: no token can be made from it.\n"


class TokenFileError(Exception):
    """The file cannot be understood; the text names its mistakes."""


def check_name(name: str) -> str:
    """Raise an error for a name that a terminal, a log or the file itself would not show as it is."""
    # The file's reader would take ${…} for a variable of the environment.
    if not name or not name.isprintable() or len(name) > MAX_NAME or "$" in name:
        raise must_be(f'1–{MAX_NAME} printable characters without "$"')
    return name


def _read_time(value: object) -> float:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise must_be("a time such as 2026-01-31T12:00:00Z")
    return moment.timestamp()


def _read_expiry(value: object) -> float | None:
    return None if value == NEVER else _read_time(value)


def _matching(pattern: re.Pattern[str], wanted: str) -> AfterValidator:
    def check(value: str) -> str:
        if pattern.fullmatch(value) is None:
            # Not quoted: it may be a token that was put in the wrong place.
            raise refused(f"must be {wanted}")
        return value

    return AfterValidator(check)


_Name = Annotated[str, AfterValidator(check_name)]
_Time = Annotated[float, PlainValidator(_read_time)]


class TokenEntry(Section):
    """Describe one token; times are epoch seconds, expires is None for a token that never does."""

    id: Annotated[str, _matching(_ID, f"{ID_LENGTH} lower-case letters and digits")]
    name: _Name
    user: _Name | None = None
    scopes: Annotated[tuple[str, ...], Field(strict=False)]
    created: _Time
    expires: Annotated[float | None, PlainValidator(_read_expiry)]
    revoked: _Time | None = None
    hash: Annotated[str, _matching(_HASH, "sha256: and 64 hexadecimal digits"), Field(repr=False)]

    @model_validator(mode="after")
    def _check_scopes(self) -> "TokenEntry":
        try:
            check_scopes(self.scopes, self.user)
        except ScopeError as error:
            raise refused(str(error)) from None
        return self

    def state(self, now: float) -> str:
        """Tell whether the token may be used: active, expired or revoked."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "active"


_ENTRIES = TypeAdapter(list[TokenEntry])


def read_tokens(file: Path) -> list[TokenEntry]:
    """Read every entry.

    Raises OSError, or TokenFileError with every mistake.
    """
    try:
        return _parse(read_document(file.read_text(encoding="utf-8-sig")), str(file))
    except UnicodeDecodeError:
        raise TokenFileError(f"{file}: not UTF-8 text") from None


def update_tokens(file: Path, change: Callable[[list[TokenEntry]], Sequence[TokenEntry]]) -> None:
    """Replace the entries by what `change` makes of them: one writer at a time, and the old file or the new one.

    Raises OSError, TokenFileError for a file that is not understood, and what `change` raises.
    """
    # A symbolic link stays one.
    file = file.resolve()
    with _locked(file):
        entries = read_tokens(file) if file.exists() else []
        _replace(file, _HEADER + "".join(write_entry(entry) for entry in change(entries)))


def write_entry(entry: TokenEntry) -> str:
    """Write one entry as it stands in the file."""
    shown: dict[str, Any] = {
        "id": entry.id,
        "name": entry.name,
        **({"user": entry.user} if entry.user else {}),
        "scopes": list(entry.scopes),
        "created": rfc3339(entry.created),
        "expires": NEVER if entry.expires is None else rfc3339(entry.expires),
        **({"revoked": rfc3339(entry.revoked)} if entry.revoked else {}),
        "hash": entry.hash,
    }
    text: str = yaml.safe_dump([shown], sort_keys=False, allow_unicode=True, width=1000)
    return text


def _parse(document: Document, file: str) -> list[TokenEntry]:
    mistakes = [_mistake(file, line, path, message) for path, line, message in document.mistakes]
    entries: list[TokenEntry] = []
    if not mistakes:
        try:
            entries = _ENTRIES.validate_python(document.data or [])
        except ValidationError as error:
            found = explain(error, document, list[TokenEntry])
            mistakes = [_mistake(file, document.origin(at).line, at, message) for at, message in found]
    ids = [entry.id for entry in entries]
    mistakes += [f"{file}: id {known}: given twice" for known in sorted({one for one in ids if ids.count(one) > 1})]
    if mistakes:
        raise TokenFileError("; ".join(mistakes))
    return entries


def _mistake(file: str, line: int, path: KeyPath, message: str) -> str:
    return str(Mistake(file, line, format_path(path), message))


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Wait for other writers. The lock is a file beside, for the file itself is replaced."""
    descriptor = os.open(f"{file}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _keep_owner(file, f"{file}.lock")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(file: Path, text: str) -> None:
    """Put a new file, which only its owner may read, in the place of the old one."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        _keep_owner(file, name)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def _keep_owner(file: Path, name: str) -> None:
    """Give a new file to the old one's owner: root may make tokens for a service that is not root."""
    if os.geteuid() == 0:
        status = (file if file.exists() else file.parent).stat()
        os.chown(name, status.st_uid, status.st_gid)
