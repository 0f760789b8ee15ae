"""Request bodies, read in bounds: what is too large is refused while it comes, and not kept."""

from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from aggregator.api.errors import BadData, TooLarge, UnsupportedMediaType

# aiohttp decompresses these by itself.
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})
MIB: Final = 2**20


async def read_json(request: web.Request, limit_mib: int) -> bytes:
    """Read the decompressed body of a request that sends JSON.

    Raises UnsupportedMediaType for another Content-Type, and what `read_body` does.
    """
    if request.content_type != "application/json":
        raise UnsupportedMediaType(f'Content-Type: must be application/json, got "{request.content_type[:100]}"')
    return await read_body(request, limit_mib)


async def read_body(request: web.Request, limit_mib: int) -> bytes:
    """Read the decompressed body.

    Raises TooLarge naming the limit, UnsupportedMediaType for another compression, BadData for a broken one.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise UnsupportedMediaType(f'Content-Encoding: must be gzip or none, got "{encoding[:100]}"')
    limit = limit_mib * MIB
    # Only a hint: the length is that of the compressed body, and need not be given at all.
    if (request.content_length or 0) > limit:
        raise _too_large(limit_mib)
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit_mib)
        # Where the end comes together with what is wrong, the loop ends as if all had been read.
        if wrong := request.content.exception():
            raise wrong
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise BadData("the body cannot be decompressed: is it what Content-Encoding says?") from error
    return bytes(body)


def _too_large(limit_mib: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit_mib} MiB (decompressed), which is the limit")
