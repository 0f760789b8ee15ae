"""GET /api/v1/status."""

from typing import TypedDict

from aiohttp import web

from aggregator.api.envelope import success
from aggregator.api.jwt import KeySet
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.api.representation import Json, SourceShown, source_json
from aggregator.api.tokens.store import TokenStore


class TokensShown(TypedDict):
    """How many tokens may be used, and what is wrong with their file."""

    active: int
    error: str | None


class KeysShown(TypedDict):
    """How many keys of the issuer are known, and why they cannot be read."""

    keys: int
    error: str | None


class StatusShown(TypedDict):
    """The version, and every source."""

    version: str
    external_url: str | None
    tokens: TokensShown | None
    access_tokens: KeysShown | None
    sources: list[SourceShown]


async def get_status(request: web.Request) -> web.Response:
    """Answer with the version and all that is known of the sources."""
    return success(request, *await read_status(request))


async def read_status(request: web.Request) -> tuple[Json, list[str]]:
    """Read what is answered, and what is missing."""
    settings, now = request.app[SETTINGS], request.app[CLOCK]()
    snapshot = request.app[STORE].current
    sources = snapshot.sources
    data = {
        "version": settings.version,
        "external_url": settings.external_url or None,
        "tokens": None if settings.ways.tokens is None else await _tokens_json(settings.ways.tokens, now),
        "access_tokens": None if settings.ways.access_tokens is None else _keys_json(settings.ways.access_tokens.keys),
        "sources": [source_json(sources[key], now, settings.stale_after) for key in sorted(sources)],
    }
    return data, [warning for view in snapshot.clusters.values() for warning in view.warnings]


async def _tokens_json(tokens: TokenStore, now: float) -> Json:
    """Show whether the file of tokens can be read, and how many of them may be used."""
    active = await tokens.active(now)
    return {"active": active, "error": tokens.error or None}


def _keys_json(keys: KeySet) -> Json:
    """Show how many keys of the issuer are known, and whether they can be read."""
    return {"keys": len(keys), "error": keys.error or None}
