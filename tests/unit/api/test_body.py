"""A body of which something is wrong is never taken for a whole one."""

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.test_utils import make_mocked_request

from aggregator.api.body import read_body
from aggregator.api.errors import BadData


async def test_what_is_wrong_is_told_where_the_end_has_come_before_it() -> None:
    """aiohttp ends its loop at the end, and does not look at what it has been told since."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(Mock())
    content = StreamReader(protocol, 2**16, loop=loop)
    request: web.Request = make_mocked_request("PUT", "/", payload=content)
    reading = asyncio.ensure_future(read_body(request, 1))
    await asyncio.sleep(0)
    content.feed_eof()
    content.set_exception(ContentEncodingError("Can not decode content-encoding: gzip"))
    with pytest.raises(BadData, match="cannot be decompressed"):
        await reading
