"""A configuration that cannot be run changes nothing, at the start and at a reload."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aggregator.app.serve import ConfiguredService, timing_of
from aggregator.app.site import Key, Site, open_site
from aggregator.config import Config, ConfigError, ListenAddress, load

# Port 1 answers nobody: the source is down, the service is not.
GOOD = """
state: {{ url: "sqlite:///{folder}/state.db" }}
clusters:
  narval:
    slurmacct: {{ host: 127.0.0.1, port: 1, user: a, password: b{tls} }}
    prometheus: {{ url: "http://127.0.0.1:1" }}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "config.yml"
    file.write_text(GOOD.format(folder=tmp_path, tls=""))
    return file


@pytest.fixture
async def configured(file: Path) -> AsyncIterator[ConfiguredService]:
    service = ConfiguredService(str(file), load(file), [ListenAddress("127.0.0.1", 0)], None)
    await service.start()
    yield service
    await service.service.stop()
    await service.service.state.close()


async def test_certificates_that_cannot_be_read_are_named(file: Path) -> None:
    file.write_text(GOOD.format(folder=file.parent, tls=", tls: { ca_file: nowhere.pem }"))
    with pytest.raises(ConfigError, match=r"clusters\.narval\.slurmacct\.tls: cannot use .*nowhere\.pem: "):
        async with open_site(load(file)):
            pass


@pytest.mark.parametrize(
    ("text", "named"), [(", tls: { ca_file: nowhere.pem }", "slurmacct.tls"), (", prot: 1", "prot: unknown key")]
)
async def test_a_configuration_that_cannot_be_run_leaves_the_old_one(
    configured: ConfiguredService, file: Path, text: str, named: str
) -> None:
    before = configured.service.store.current.clusters.keys()
    file.write_text(GOOD.format(folder=file.parent, tls=text).replace("narval", "beluga"))
    mistake = await configured.reload()
    assert mistake is not None
    assert named in mistake
    assert configured.service.store.current.clusters.keys() == before == {"narval"}
    assert not configured.service.metrics.reload_succeeded


async def test_the_rules_of_waste_are_read_again(configured: ConfiguredService, file: Path) -> None:
    rules = file.parent / "waste.yml"
    rules.write_text("rules: { cpu_low: { enabled: false } }\n")
    file.write_text(file.read_text() + "waste: { rules_file: waste.yml }\n")
    assert await configured.reload() is None
    assert {rule.name for rule in load(file).waste_rules} == timing_of(load(file)).rules.names
    assert "cpu_low" not in timing_of(load(file)).rules.names

    rules.write_text("rules: { cpu_low: { enabled: 2 } }\n")
    assert await configured.reload() == f"{rules}:1: rules.cpu_low.enabled: must be true or false, got 2"
    assert not configured.service.metrics.reload_succeeded


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tell what is opened and closed, as `+cluster narval` and `-cluster narval`."""
    told: list[str] = []

    @asynccontextmanager
    async def recorded(config: Config, part: Key) -> AsyncIterator[Site]:
        told.append("+" + " ".join(part))
        async with open_site(config, part) as site:
            yield site
        told.append("-" + " ".join(part))

    monkeypatch.setattr("aggregator.app.parts.open_site", recorded)
    monkeypatch.setattr("aggregator.app.service.DRAIN_SECONDS", 0.0)
    monkeypatch.setattr("aggregator.app.serve.RELOAD_SECONDS", 0.0)
    return told


async def test_what_is_replaced_is_closed_and_nothing_else(
    opened: list[str], configured: ConfiguredService, file: Path
) -> None:
    assert opened == ["+cluster narval"]
    good = file.read_text()
    for text in (good, good + "energy: { tariff: { currency: CAD, per_kwh: 0.04 } }\n", good):
        file.write_text(text)
        assert await configured.reload() is None
    assert opened == ["+cluster narval"], "what jobs cost is no matter of the sources"

    file.write_text(good.replace("user: a", "user: b"))
    assert await configured.reload() is None
    assert opened[:2] == ["+cluster narval", "+cluster narval"]
    async with asyncio.timeout(10):
        while len(opened) < 3:
            await asyncio.sleep(0)
    await configured.service.stop()
    assert opened[2:] == ["-cluster narval", "-cluster narval"]


async def test_those_who_ask_while_a_reload_runs_share_the_next(
    opened: list[str], configured: ConfiguredService, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = asyncio.create_task(configured.reload())
    await asyncio.sleep(0)
    assert await asyncio.gather(*(configured.reload() for _ in range(50))) == [None] * 50
    assert await first is None
    assert caplog.text.count("configuration reloaded") <= 3


async def test_a_good_configuration_replaces_the_old_one(configured: ConfiguredService, file: Path) -> None:
    file.write_text(GOOD.format(folder=file.parent, tls="").replace("narval", "beluga"))
    assert await configured.reload() is None
    assert set(configured.service.store.current.clusters) == {"beluga"}
    assert {scope for _, scope in configured.service.store.current.sources} == {"", "beluga"}
    assert configured.service.metrics.reload_succeeded
