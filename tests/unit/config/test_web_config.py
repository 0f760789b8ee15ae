"""--web.config.file in the exporters' format."""

from pathlib import Path

import pytest

from aggregator.config import ConfigError, load_web

HASH = "$2b$10$" + "a" * 53


def write(folder: Path, text: str) -> Path:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (folder / name).write_text("")
    file = folder / "web.yml"
    file.write_text(text)
    return file


def test_tls_and_users_are_read_and_files_are_beside_it(tmp_path: Path) -> None:
    web = load_web(write(tmp_path, f"""
tls_server_config: {{ cert_file: cert.pem, key_file: key.pem, min_version: TLS13,
  client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert }}
basic_auth_users: {{ scraper: "{HASH}" }}
"""))  # fmt: skip
    assert web.tls_server_config is not None
    assert web.tls_server_config.cert_file == tmp_path / "cert.pem"
    assert web.basic_auth_users == {"scraper": HASH}
    assert HASH not in repr(web)


def test_an_empty_file_asks_for_nothing(tmp_path: Path) -> None:
    web = load_web(write(tmp_path, ""))
    assert (web.tls_server_config, web.basic_auth_users) == (None, {})


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("basic_auth_users: {scraper: hunter2}", "web.yml:1: basic_auth_users.scraper: must be a bcrypt hash"),
        ("tls_server_config: {cert_file: a}", "web.yml:1: tls_server_config.key_file: required"),
        ("tls_server: {}", 'web.yml:1: tls_server: unknown key (did you mean "tls_server_config"?)'),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: VerifyClientCertIfGiven}",
            "client_ca_file and a client_auth_type other than NoClientCert go together",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_web(write(tmp_path, text))
    assert mistake in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml: cannot read: No such file"):
        load_web(tmp_path / "nowhere.yml")
