"""`check` without connecting: what would keep `serve` from starting, and what is missing in the file."""

import json
from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.config import ConfigError, parse

CLUSTER = """
clusters:
  narval:
    slurmacct: { host: HOST, user: a, password: b }
    prometheus: { url: "http://p:9090" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "config.yml"
    written.write_text("server: { listen_address: '127.0.0.1:9850' }" + CLUSTER.replace("HOST", "127.0.0.1"))
    return written


def test_a_cluster_without_exporters_is_warned_of(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"--config.file={file}"]) == 0
    assert "warning: clusters.narval.exporters: none is configured: nothing is read" in capsys.readouterr().err
    with file.open("a") as more:
        more.write("    exporters: { slurm_job_exporter: {} }\n")
    assert main(["check", f"--config.file={file}"]) == 0
    assert capsys.readouterr().err == ""


def test_an_exporter_that_is_to_be_believed_of_what_it_does_not_show_is_warned_of(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with file.open("a") as more:
        more.write("    exporters: { slurm_job_exporter: {}, dcgm_exporter: {} }\n")
        more.write("    providers: { memory: dcgm_exporter, gpus: [slurm_job_exporter, dcgm_exporter] }\n")
    assert main(["check", f"--config.file={file}"]) == 0
    assert capsys.readouterr().err == (
        "warning: clusters.narval.providers.memory: dcgm_exporter shows no memory of jobs\n"
    )


def test_an_address_without_auth_is_refused_as_serve_refuses_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"--config.file={file}", "--web.listen-address=:9850"]) == 2
    said = capsys.readouterr()
    assert "no auth is configured" in said.err
    assert "no mistakes" not in said.out


def test_a_web_configuration_that_cannot_be_used_is_a_mistake(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: { cert_file: none.crt, key_file: none.key }\n")
    for flags in ([f"--config.file={file}", f"--web.config.file={web}"], ["web-config", str(web)]):
        assert main(["check", *flags]) == 2
        assert "tls_server_config: the certificate or its key cannot be used" in capsys.readouterr().err
    web.write_text("{}\n")
    assert main(["check", "web-config", str(web)]) == 0
    assert capsys.readouterr().out == f"{web}: no mistakes\n"


def test_mistakes_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text() + "clustres: {}\n")
    assert main(["check", f"--config.file={file}", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert [(each["path"], each["line"]) for each in found["mistakes"]] == [("clustres", 6)]


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("db1:3306", 'must be a host without a port, got "db1:3306" (host: db1, port: 3306)'),
        ("'[::1]:3306'", 'must be a host without a port, got "[::1]:3306" (host: [::1], port: 3306)'),
        ("https://db1", 'must be the name or the address of a host, not a URL, got "https://db1"'),
    ],
)
def test_a_host_with_more_than_a_host_is_refused_with_where_it_belongs(host: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(CLUSTER.replace("HOST", host))
    assert message in str(caught.value)


@pytest.mark.parametrize("host", ["db1", "10.0.0.5", "'::1'", "'fd00::3306'", "/run/mysqld/mysqld.sock"])
def test_a_host_may_be_a_name_or_an_address(host: str) -> None:
    assert parse(CLUSTER.replace("HOST", host)).clusters["narval"].slurmacct.host == host.strip("'")
