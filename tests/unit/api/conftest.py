from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from aggregator.api import create_app
from aggregator.queries.jobs import JobQueries
from aggregator.refresh.store import SnapshotStore

from .builders import NOW, FakeLedger, FakePage, FakeReader, FakeSummaries, make_settings


@dataclass
class Service:
    """The API over fakes, and a client of it."""

    store: SnapshotStore = field(default_factory=SnapshotStore)
    reader: FakeReader = field(default_factory=FakeReader)
    kept: FakeSummaries = field(default_factory=FakeSummaries)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    page: FakePage = field(default_factory=FakePage)
    now: float = NOW
    client: TestClient[web.Request, web.Application] | None = None

    def app(self, **settings: Any) -> web.Application:
        queries = JobQueries({"narval": self.reader}, self.kept, self.ledger)
        return create_app(self.store, queries, make_settings(**settings), self.page, lambda: self.now)

    async def get(self, path: str, **request: Any) -> ClientResponse:
        assert self.client is not None
        return await self.client.get(path, **request)

    async def data(self, path: str, **request: Any) -> Any:
        """Get the data of a successful answer."""
        response = await self.get(path, **request)
        body = await response.json()
        assert response.status == 200, body
        assert body["status"] == "success"
        return body["data"]

    async def failure(self, path: str, **request: Any) -> tuple[int, str, str]:
        """Get the status, type and text of an error in the envelope."""
        response = await self.get(path, **request)
        body = await response.json()
        assert body.keys() == {"status", "errorType", "error"}
        assert body["status"] == "error"
        return response.status, body["errorType"], body["error"]


@pytest.fixture
def idle_service() -> Service:
    return Service()


@pytest.fixture
async def service(idle_service: Service, aiohttp_client: Any) -> Service:
    idle_service.client = await aiohttp_client(idle_service.app())
    return idle_service
