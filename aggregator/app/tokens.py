"""`token create|list|revoke`: make, show and revoke the tokens of `auth.tokens.file`."""

import json
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from aggregator.api.tokens.file import NEVER, TokenEntry, TokenFileError, read_tokens, update_tokens, write_entry
from aggregator.api.tokens.scope import READ_OWN, ScopeError, check_scopes
from aggregator.app.errors import CommandError
from aggregator.model.moment import rfc3339
from aggregator.model.token import ID_LENGTH, ID_LETTERS, SECRET_BYTES, format_token, hash_token

_HEAD = ("ID", "NAME", "USER", "SCOPES", "CREATED", "EXPIRES", "STATE")


class TokenCommandError(CommandError):
    """A command about tokens cannot do what it is asked to."""


def create(
    file: Path, *, name: str, user: str | None, scopes: Sequence[str], lifetime: float | None, now: float
) -> bool:
    """Make a token and print it, the only time that it is shown; False when the file could not be written.

    lifetime is in seconds, None for a token that never expires. Raises TokenCommandError.
    """
    text, entry = _make(name, user, tuple(scopes) or (() if user is None else (READ_OWN,)), lifetime, now)
    try:
        update_tokens(file, lambda entries: [*entries, entry])
    except TokenFileError as error:
        raise TokenCommandError(str(error)) from error
    except OSError as error:
        print(
            f"{file}: cannot be written ({error.strerror}): add this entry to it by hand, or the token is not known:\n"
            f"{write_entry(entry)}",
            file=sys.stderr,
        )
        print(text)
        return False
    print(f"token {entry.id} ({name}): {', '.join(entry.scopes)}, expires {_expiry(entry)}", file=sys.stderr)
    print("It is not shown again. The service knows it within a second, without a restart:", file=sys.stderr)
    print(text)
    return True


def show(file: Path, *, as_json: bool, now: float) -> None:
    """Print the tokens without their hashes.

    Raises TokenCommandError.
    """
    try:
        entries = read_tokens(file)
    except OSError as error:
        raise TokenCommandError(f"{file}: cannot read: {error.strerror}") from error
    except TokenFileError as error:
        raise TokenCommandError(str(error)) from error
    if as_json:
        print(json.dumps([_json(entry, now) for entry in entries], indent=2, ensure_ascii=False))
        return
    rows = [_HEAD, *(_row(entry, now) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def revoke(file: Path, token_id: str, now: float) -> None:
    """Mark a token as revoked; its entry stays, so that its use can be explained.

    Raises TokenCommandError.
    """

    def change(entries: list[TokenEntry]) -> list[TokenEntry]:
        if all(entry.id != token_id for entry in entries):
            known = ", ".join(entry.id for entry in entries) or "none"
            raise TokenCommandError(f"{file}: no token {token_id!r}; there is: {known}")
        return [
            entry.model_copy(update={"revoked": float(int(now))})
            if entry.id == token_id and not entry.revoked
            else entry
            for entry in entries
        ]

    try:
        update_tokens(file, change)
    except TokenFileError as error:
        raise TokenCommandError(str(error)) from error
    except OSError as error:
        raise TokenCommandError(f"{file}: cannot be written: {error.strerror}: remove the entry by hand") from error
    print(f"token {token_id}: revoked", file=sys.stderr)


def _make(
    name: str, user: str | None, scopes: tuple[str, ...], lifetime: float | None, now: float
) -> tuple[str, TokenEntry]:
    token_id = "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))
    text = format_token(token_id, secrets.token_bytes(SECRET_BYTES))
    created = int(now)
    try:
        check_scopes(scopes, user)
        entry = TokenEntry.model_validate(
            {
                "id": token_id,
                "name": name,
                **({} if user is None else {"user": user}),
                "scopes": list(dict.fromkeys(scopes)),
                "created": rfc3339(created),
                "expires": NEVER if lifetime is None else rfc3339(created + lifetime),
                "hash": hash_token(text),
            }
        )
    except ScopeError as error:
        raise TokenCommandError(f"--{error}") from error
    except ValidationError as error:
        (mistake, *_) = error.errors(include_url=False, include_input=False)
        raise TokenCommandError(f"--{mistake['loc'][0]}: {mistake['msg']}") from None
    return text, entry


def _expiry(entry: TokenEntry) -> str:
    return rfc3339(entry.expires) or NEVER


def _row(entry: TokenEntry, now: float) -> tuple[str, ...]:
    return (
        entry.id,
        entry.name,
        entry.user or "-",
        ",".join(entry.scopes),
        rfc3339(entry.created) or "",
        _expiry(entry),
        entry.state(now),
    )


def _json(entry: TokenEntry, now: float) -> dict[str, object]:
    return {
        "id": entry.id,
        "name": entry.name,
        "user": entry.user,
        "scopes": list(entry.scopes),
        "created": rfc3339(entry.created),
        "expires": rfc3339(entry.expires),
        "revoked": rfc3339(entry.revoked),
        "state": entry.state(now),
    }
