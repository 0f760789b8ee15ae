"""Ask an issuer, or whoever has its keys: one request, without redirections, and only so much of its answer."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

from aggregator import executors

MAX_BYTES: Final = 1 << 20
# How long it may take, all in all.
LONGEST_READ_SECONDS: Final = 5.0
_PIECE: Final = 1 << 16


async def fetch(
    url: str, ca_file: Path | None, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Give status and body, of one that is longer than MAX_BYTES the beginning; a form is posted.

    The session is its own: this is asked once an hour, or for somebody who signs in. Raises OSError, ClientError.
    """
    tls = await executors.run(executors.FILES, ssl.create_default_context, cafile=ca_file)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
        session.request(
            "GET" if form is None else "POST", url, data=form, headers=headers, allow_redirects=False
        ) as answer,
    ):
        text = bytearray()
        async for piece in answer.content.iter_chunked(_PIECE):
            text += piece
            if len(text) > MAX_BYTES:
                break
        return answer.status, bytes(text)


async def get(url: str, ca_file: Path | None) -> bytes:
    """Give the body of a document that is there, and not too long.

    Raises ValueError, and what `fetch` does.
    """
    status, text = await fetch(url, ca_file)
    if status != 200:
        raise ValueError(f"answered {status}")
    if len(text) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    return text
