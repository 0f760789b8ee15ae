"""Who makes room when all places are taken, and how many places there are; on real sockets."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from aggregator.api.access import AREAS
from aggregator.api.keys import ApiSettings, Upkeep
from aggregator.app.doors import Doors
from aggregator.app.http import listen
from aggregator.app.service import Service
from aggregator.config import Bounds, ListenAddress, State
from aggregator.state import StateStore
from tests.lab.ports import LOOPBACK, free_port

PLACES = 16
HEALTH = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


class Clients:
    """Connections to one service, by their names."""

    def __init__(self, port: int, service: Service) -> None:
        self.port, self.service = port, service
        self._open: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def come(self, name: str, content: bytes = b"", address: str = LOOPBACK) -> None:
        """Connect, and wait until that has been noticed."""
        before = self.count("evicted")
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port, local_addr=(address, 0))
        self._open[name] = reader, writer
        writer.write(content)
        if content.endswith(b"\r\n\r\n"):
            await reader.readuntil(b"Healthy.\n")
        full = len(self._open) > PLACES
        while (full and self.count("evicted") == before) or self.connections() < min(len(self._open), PLACES):
            await asyncio.sleep(0.01)

    def connections(self) -> float:
        return self.service.metrics.registry.get_sample_value("hpc_aggregator_http_connections") or 0

    def count(self, reason: str) -> float:
        found = self.service.metrics.registry.get_sample_value("hpc_aggregator_http_refused_total", {"reason": reason})
        return found or 0

    async def ended(self, name: str) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                return await self._open[name][0].read() == b""
        return False

    def close(self) -> None:
        for _, writer in self._open.values():
            writer.close()


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Clients]:
    service = Service(StateStore(State.model_validate({"url": f"sqlite:///{folder}/state.db"})))
    settings = make_settings(connections=PLACES)
    port = free_port()
    async with listen(service, settings, [ListenAddress(LOOPBACK, port)]):
        clients = Clients(port, service)
        yield clients
        clients.close()


def make_settings(**bounds: int) -> ApiSettings:
    return ApiSettings(
        external_url="", stale_after=1.0, version="0", open_areas=AREAS, upkeep=Upkeep(reload=nothing),
        bounds=Bounds.model_validate(bounds),
    )  # fmt: skip


async def nothing() -> str | None:
    return None


async def test_the_oldest_of_the_address_with_most_connections_makes_room(tmp_path: Path) -> None:
    async with served(tmp_path) as clients:
        await clients.come("other", address="127.0.0.2")
        for number in range(PLACES - 1):
            await clients.come(f"many {number}")
        assert clients.count("evicted") == 0
        await clients.come("late", address="127.0.0.3")
        assert [await clients.ended(name) for name in ("many 0", "many 1", "other", "late")] == [True, *[False] * 3]


async def test_idle_connections_outlive_those_without_a_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time in which an honest client would have sent one."""
    monkeypatch.setattr("aggregator.app.connection._GRACE_SECONDS", 0.0)
    async with served(tmp_path) as clients:
        await clients.come("idle", HEALTH)
        for number in range(PLACES - 1):
            await clients.come(f"half {number}", b"GET /-/healthy HTTP/1.1\r\n", address=f"127.0.1.{number + 1}")
        await clients.come("late")
        assert not await clients.ended("idle")
        assert await clients.ended("half 0")


async def test_a_bug_of_ours_does_not_close_the_doors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(address: str) -> str:
        monkeypatch.undo()
        raise ValueError(address)

    async with served(tmp_path) as clients:
        monkeypatch.setattr("aggregator.app.doors.address_key", broken)
        reader, writer = await asyncio.open_connection(LOOPBACK, clients.port)
        assert await reader.read() == b""
        writer.close()
        await clients.come("next", HEALTH)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Put the limit back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("descriptors")
def test_the_soft_limit_of_descriptors_is_raised_for_the_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    settings = make_settings(connections=300)
    doors = Doors(settings, lambda _: None)
    assert doors.places() == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 600
    # By a reload.
    settings.bounds = Bounds(connections=400)
    assert doors.places() == 400
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 800
