"""Headers that every answer carries, whoever made it."""

from aiohttp import web

_NOTHING_LOADS = "default-src 'none'; frame-ancestors 'none'"
_ONLY_TLS = "max-age=31536000"


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Tell browsers to take an answer for what it says it is, and hide what software gave it."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Content-Security-Policy", _NOTHING_LOADS)
    if request.secure:
        response.headers["Strict-Transport-Security"] = _ONLY_TLS
    response.headers["Server"] = "hpc-aggregator"
