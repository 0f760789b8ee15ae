"""What `auth` and the web configuration open, and what a reload does to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest

from aggregator.api.access import AREAS, CLUSTERS, HEALTH, METRICS
from aggregator.app.errors import StartError
from aggregator.app.openness import open_areas, openness
from aggregator.app.serve import ConfiguredService
from aggregator.config import Auth, ListenAddress, WebConfig, load

CONFIG = """
state: {{ url: "sqlite:///{folder}/state.db" }}
clusters: {{ narval: {{ slurmacct: {{ host: 127.0.0.1, port: 1, user: a }}, prometheus: {{ url: "http://h" }} }} }}
auth: {auth}
"""
FIRST = "{ tokens: { file: tokens.yml }, staff: { users: [root] } }"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yml"


def write(file: Path, auth: str) -> None:
    file.write_text(CONFIG.format(folder=file.parent, auth=auth))


@pytest.fixture
async def configured(file: Path) -> AsyncIterator[ConfiguredService]:
    write(file, FIRST)
    service = ConfiguredService(str(file), load(file), [ListenAddress("", 9850)], None)
    yield service
    await service.service.stop()
    await service.service.state.close()


def test_with_passwords_everybody_shows_one_or_a_token_on_loopback_too() -> None:
    web = WebConfig.model_validate({"basic_auth_users": {"a": bcrypt.hashpw(b"a", bcrypt.gensalt(4)).decode()}})
    for host in ("127.0.0.1", ""):
        assert open_areas(ListenAddress(host, 9850), None, web) == {HEALTH}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "", "192.0.2.1"])
def test_once_auth_is_configured_that_is_open_which_it_says_on_every_address(host: str) -> None:
    address = ListenAddress(host, 9850)
    assert open_areas(address, Auth(), None) == {HEALTH}
    assert open_areas(address, Auth.model_validate({"anonymous": ["health", "metrics"]}), None) == {HEALTH, METRICS}
    assert open_areas(address, Auth.model_validate({"anonymous": ["clusters"]}), None) == {CLUSTERS}
    assert openness(open_areas(address, Auth(), None), address) == ""


def test_a_required_certificate_opens_everything_only_without_auth() -> None:
    web = WebConfig.model_validate({"tls_server_config": {
        "cert_file": "c", "key_file": "k", "client_ca_file": "a", "client_auth_type": "RequireAndVerifyClientCert",
    }})  # fmt: skip
    address = ListenAddress("", 9850)
    assert open_areas(address, Auth(), web) == {HEALTH}
    assert open_areas(address, None, web) == AREAS
    assert openness(AREAS, address).startswith("open: no auth is configured, every client with a certificate can")


def test_without_auth_only_loopback_is_open_and_says_so() -> None:
    here = ListenAddress("127.0.0.1", 9850)
    assert open_areas(here, None, None) == AREAS
    assert openness(AREAS, here).startswith("open: no auth is configured, everybody on this machine can")
    with pytest.raises(StartError, match="can be reached from other machines and no auth is configured"):
        open_areas(ListenAddress("", 9850), None, None)


async def test_a_reload_changes_the_rules_and_keeps_the_tokens_of_the_same_file(
    configured: ConfiguredService, file: Path
) -> None:
    settings = configured.settings
    tokens = settings.ways.tokens
    assert tokens is not None
    assert (tokens.file, settings.rules.staff_users, settings.ways.proxy) == (
        file.parent / "tokens.yml",
        {"root"},
        None,
    )

    write(file, "{ tokens: { file: tokens.yml }, members_see_members: true, staff: { accounts: [ops] },"
                " trusted_proxy: { networks: [127.0.0.0/8], header: Remote-User } }")  # fmt: skip
    assert await configured.reload() is None
    assert settings.ways.tokens is tokens
    assert (settings.rules.staff_users, settings.rules.staff_accounts) == (frozenset(), {"ops"})
    assert settings.rules.members_see_members
    assert settings.ways.proxy is not None
    assert settings.ways.proxy.header == "Remote-User"

    write(file, "{ tokens: { file: others.yml } }")
    assert await configured.reload() is None
    assert settings.ways.tokens is not None
    assert settings.ways.tokens.file == file.parent / "others.yml"
    assert settings.ways.proxy is None


async def test_a_reload_that_fails_changes_no_rule(configured: ConfiguredService, file: Path) -> None:
    write(file, "{ staff: { users: [eve] }, tokns: 1 }")
    assert await configured.reload() is not None
    assert configured.settings.rules.staff_users == {"root"}
    assert configured.settings.ways.tokens is not None
