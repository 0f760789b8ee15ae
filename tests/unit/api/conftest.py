from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from aggregator.api.access import HEALTH
from aggregator.api.application import Counts, create_app
from aggregator.api.keys import AnswerSources
from aggregator.api.lists import ListRoute
from aggregator.api.tokens.store import TokenStore
from aggregator.app.lists import lists_of
from aggregator.config import State
from aggregator.pages.routes import add_pages
from aggregator.queries.readers import Queries, Readers, ReplicaNotes
from aggregator.refresh.store import SnapshotStore
from aggregator.state import StateStore

from .builders import (
    NOW,
    FakeDetails,
    FakeHistory,
    FakeLedger,
    FakePage,
    FakeReader,
    FakeSeries,
    FakeSummaries,
    FakeUsage,
    make_settings,
)
from .tokens import bearer, make_token


@dataclass
class Service:
    """The API over fakes, and a client of it."""

    state: StateStore
    store: SnapshotStore = field(default_factory=SnapshotStore)
    reader: FakeReader = field(default_factory=FakeReader)
    kept: FakeSummaries = field(default_factory=FakeSummaries)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    history: FakeHistory = field(default_factory=FakeHistory)
    details: FakeDetails = field(default_factory=FakeDetails)
    rolled: FakeUsage | None = None
    lines: FakeSeries | None = None
    replica: ReplicaNotes | None = None
    graphs: dict[str, FakeSeries] = field(default_factory=dict)
    page: FakePage = field(default_factory=FakePage)
    lists: Sequence[ListRoute[Any]] = lists_of()
    now: float = NOW
    counted: Counter[str] = field(default_factory=Counter)
    client: TestClient[web.Request, web.Application] | None = None

    def app(self, users: Mapping[str, str] | None = None, **settings: Any) -> web.Application:
        queries = Queries(self.kept, self.ledger, self.state.scripts)
        of_narval = Readers(
            self.reader, history=self.history, details=self.details, usage=self.rolled, series=self.lines,
            replica=self.replica,
        )  # fmt: skip
        queries.connect({"narval": of_narval}, self.graphs.items())
        sources = AnswerSources(
            store=self.store, page=self.page, queries=queries, scripts=self.state.scripts, alerts=self.state.alerts
        )
        app = create_app(
            sources, make_settings(**settings), lists=self.lists, users=users, counts=Counts(alerts=self.count_alerts),
            clock=lambda: self.now,
        )  # fmt: skip
        add_pages(app)
        return app

    def count_alerts(self, outcome: str, count: int) -> None:
        self.counted[outcome] += count

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
async def idle_service(tmp_path: Path) -> AsyncIterator[Service]:
    """The API over a state that is opened when a test uses it."""
    state = StateStore(State.model_validate({"url": f"sqlite:///{tmp_path}/state.db"}))
    yield Service(state)
    await state.close()


@pytest.fixture
async def service(idle_service: Service, aiohttp_client: Any) -> Service:
    idle_service.client = await aiohttp_client(idle_service.app())
    return idle_service


@pytest.fixture
async def alice(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> Service:
    """The API to alice, who sees what is her own."""
    file = tmp_path / "tokens.yml"
    token = make_token(file, "alice000", "read:own", user="alice")
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    idle_service.client = await aiohttp_client(app, headers=bearer(token))
    return idle_service
