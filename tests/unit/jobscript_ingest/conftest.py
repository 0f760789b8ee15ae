from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.rules import load_rules
from jobscript_ingest.send import Sender
from jobscript_ingest.service import Service
from jobscript_ingest.settings import Settings
from jobscript_ingest.spool import Spool
from tests.unit.jobscript_ingest.builders import FakeSlurmctld, make_settings
from tests.unit.jobscript_ingest.receiver import Receiver


@pytest.fixture
def slurm(tmp_path: Path) -> FakeSlurmctld:
    return FakeSlurmctld(tmp_path / "state")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(make_settings(tmp_path).spool, "narval") as opened:
        yield opened


@pytest.fixture
def metrics(spool: Spool) -> AgentMetrics:
    return AgentMetrics([rule.name for rule in load_rules()], spool.status)


@pytest.fixture
async def receiver(aiohttp_server: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await aiohttp_server(receiver.app())
    receiver.url = str(server.make_url("/prefix/"))
    yield receiver
    receiver.release()


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver) -> Settings:
    return make_settings(tmp_path, receiver.url)


@pytest.fixture
async def sender(settings: Settings, spool: Spool, metrics: AgentMetrics) -> AsyncIterator[Sender]:
    async with Service(settings.target) as service:
        yield Sender(spool, service, metrics, settings.target.batch, settings.target.back_off)
