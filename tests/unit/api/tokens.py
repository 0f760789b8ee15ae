"""Tokens for the tests of the API, in a real file."""

from collections.abc import Sequence
from pathlib import Path

from aggregator.api.tokens.file import TokenEntry, update_tokens
from aggregator.model.token import format_token, hash_token

from .builders import NOW

DAY = 86_400.0


def make_token(
    file: Path,
    token_id: str,
    *scopes: str,
    user: str | None = None,
    expires: float | None = NOW + DAY,
    revoked: float | None = None,
) -> str:
    """Add a token to the file and give its text."""
    text = format_token(token_id, token_id.encode() * 4)
    entry = TokenEntry.model_construct(
        id=token_id, name=f"n-{token_id}", user=user, scopes=scopes, created=NOW - DAY, expires=expires,
        revoked=revoked, hash=hash_token(text),
    )  # fmt: skip

    def add(entries: list[TokenEntry]) -> Sequence[TokenEntry]:
        return [*entries, entry]

    update_tokens(file, add)
    return text


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}
