import gzip
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aggregator.exposition import Page

sys.path.insert(0, str(Path(__file__).parent))

from scrape import make_app

Scrape = Callable[..., Awaitable[tuple[str, Any]]]


@pytest.fixture
def scrape(aiohttp_client: Any) -> Scrape:
    """Scrape a page over HTTP: the text, and the response's headers."""

    async def scrape(page: Page, path: str = "/metrics", **headers: str) -> tuple[str, Any]:
        client = await aiohttp_client(make_app(page), auto_decompress=False)
        asked = {"Accept-Encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}}
        response = await client.get(path, headers=asked)
        body = await response.read()
        assert response.status == 200
        is_gzip = response.headers.get("Content-Encoding") == "gzip"
        return (gzip.decompress(body) if is_gzip else body).decode(), response.headers

    return scrape
