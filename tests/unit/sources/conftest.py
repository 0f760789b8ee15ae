import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_prometheus import FakePrometheus, make_client

from aggregator.sources.prometheus import PrometheusClient


@pytest.fixture
async def prometheus(aiohttp_server: Any) -> AsyncIterator[FakePrometheus]:
    fake = FakePrometheus()
    server = await aiohttp_server(fake.app())
    fake.url = str(server.make_url("/prom/"))
    yield fake
    fake.release()


@pytest.fixture
async def client(prometheus: Any) -> AsyncIterator[PrometheusClient]:
    client = make_client(prometheus.url)
    yield client
    await client.close()
