import json
from pathlib import Path

import pytest

from aggregator.config import Config, ConfigError, DatabaseUrl, Secret, parse

TEXT = """
state: {url: "postgresql://aggregator:hunter2@db/state?password=hunter2"}
clusters:
  narval:
    slurmacct: {host: db1, user: a, password: hunter2}
    prometheus: {url: "http://p:9090", bearer_token: "${PASSWORD}", headers: {X-Key: hunter2}}
  beluga:
    slurmacct: {host: db1, user: a, password_file: "${SECRETS}/password"}
    prometheus: {url: "http://p:9090", basic_auth: {username: a, password: hunter2}}
"""


@pytest.fixture
def config(secrets: Path) -> Config:
    return parse(TEXT)


def test_secrets_are_given_on_request(config: Config) -> None:
    narval, beluga = config.clusters["narval"], config.clusters["beluga"]
    sources = [
        narval.slurmacct.secret,
        narval.prometheus.bearer,
        narval.prometheus.headers["X-Key"],
        beluga.slurmacct.secret,
        beluga.prometheus.basic_auth.secret if beluga.prometheus.basic_auth else None,
    ]

    assert [source.get() for source in sources if source] == ["hunter2"] * 5
    assert beluga.prometheus.bearer is None
    assert config.state.url.get().startswith("postgresql://aggregator:hunter2@")
    assert config.state.url.scheme == "postgresql"


def test_secrets_are_never_shown(config: Config) -> None:
    for shown in (repr(config), str(config), str(config.model_dump()), json.dumps(config.model_dump(mode="json"))):
        assert "hunter2" not in shown


def test_the_rest_of_it_is_shown(config: Config) -> None:
    shown = config.model_dump(mode="json")

    assert shown["clusters"]["narval"]["slurmacct"]["password"] == "<secret>"
    assert shown["clusters"]["narval"]["prometheus"]["headers"] == {"X-Key": "<secret>"}
    assert shown["state"]["url"] == "postgresql://aggregator:<secret>@db/state?password=<secret>"
    assert shown["refresh"]["interval"] == "30s"
    assert shown["waste"]["normal_memory_per_cpu"] == "4GiB"
    assert shown["server"]["listen_address"] == ":9850"


def test_secret_file_is_read_again_at_each_use(config: Config, secrets: Path) -> None:
    source = config.clusters["beluga"].slurmacct.secret
    assert source is not None

    (secrets / "password").write_text(" rotated\n\n")

    assert source.get() == " rotated\n"


def test_secret_file_that_is_a_directory_or_not_text_is_a_mistake(secrets: Path) -> None:
    (secrets / "binary").write_bytes(b"\xff\xfe")
    text = TEXT.replace("${SECRETS}/password", "${SECRETS}/binary")
    text = text.replace('bearer_token: "${PASSWORD}"', 'bearer_token_file: "${SECRETS}"')

    with pytest.raises(ConfigError) as caught:
        parse(text)

    assert [
        f'config.yml:6: clusters.narval.prometheus.bearer_token_file: cannot read "{secrets}": Is a directory',
        f'config.yml:8: clusters.beluga.slurmacct.password_file: cannot read "{secrets}/binary": not UTF-8 text',
    ] == [str(mistake) for mistake in caught.value.mistakes]


def test_config_error_holds_no_trace_of_values() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("clusters: {narval: {slurmacct: {password: hunter2, port: x}}}")

    assert caught.value.__context__ is None


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert DatabaseUrl("sqlite://") != Secret("sqlite://")
    assert len({Secret("a"), Secret("a")}) == 1
