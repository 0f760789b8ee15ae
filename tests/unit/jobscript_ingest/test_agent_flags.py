"""Every mistake ends with status 2 and a line that names the flag."""

from pathlib import Path

import pytest

import jobscript_ingest
from jobscript_ingest.cli import main
from tests.unit.jobscript_ingest.builders import FakeSlurmctld
from tests.unit.jobscript_ingest.process import agent_flags

URL = "http://127.0.0.1:9"


def fails(flags: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        status: object = main(flags)
    except SystemExit as error:
        status = error.code
    assert status == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--max-bytes=4", "argument --max-bytes: not a size: '4'"),
        ("--max-bytes=0B", "argument --max-bytes: must be above 0B"),
        ("--max-bytes=2GiB", "--spool.max-bytes: must not be smaller than --max-bytes"),
        ("--scan.interval=30", "argument --scan.interval: not a duration: '30'"),
        ("--scan.interval=0s", "argument --scan.interval: must be above 0s"),
        ("--batch.max-scripts=0", "argument --batch.max-scripts: not a count above 0: '0'"),
        ("--cluster=a/b", "argument --cluster: not the name of a cluster: 'a/b'"),
        ("--aggregator.url=host:9850", "argument --aggregator.url: not a URL"),
        ("--aggregator.url=https://u:p@host", "argument --aggregator.url: must be an address only"),
        ("--aggregator.token-file=/no/file", "--aggregator.token-file: cannot read /no/file: No such file"),
        ("--aggregator.ca-file=/no/file", "--aggregator.ca-file: cannot use /no/file: No such file"),
        ("--redaction.rules-file=/no/file", "/no/file: cannot read: No such file"),
        ("--slurm.state-save-location=/no/folder", "--slurm.state-save-location: cannot read /no/folder: No such file"),
        ("--spool.path=/proc/x/spool.db", "--spool.path: cannot use /proc/x/spool.db"),
        ("--web.listen-address=x", "argument --web.listen-address: not a listen address: 'x'"),
        ("--web.listen-address=192.0.2.1:1", "--web.listen-address: cannot listen on 192.0.2.1:1"),
        ("--log.level=loud", "argument --log.level: invalid choice: 'loud'"),
        ("--once --dry-run", "argument --dry-run: not allowed with argument --once"),
    ],
)
def test_a_mistake_names_its_flag(
    slurm: FakeSlurmctld, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, says: str
) -> None:
    assert says in fails([*agent_flags(tmp_path, URL), *flag.split()], capsys)


def test_what_is_missing_is_named_all_at_once(slurm: FakeSlurmctld, capsys: pytest.CaptureFixture[str]) -> None:
    error = fails([f"--slurm.state-save-location={slurm.root}"], capsys)

    assert [line.partition(":")[0] for line in error.splitlines()] == [
        "--cluster", "--aggregator.url", "--aggregator.token-file",
    ]  # fmt: skip


def test_a_certificate_file_without_a_certificate_is_named(
    slurm: FakeSlurmctld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text("nothing")

    error = fails([*agent_flags(tmp_path, URL), f"--aggregator.ca-file={tmp_path}/ca.pem"], capsys)

    assert error.startswith(f"--aggregator.ca-file: cannot use {tmp_path}/ca.pem: ")


@pytest.mark.parametrize("host", ["192.0.2.1", "aggregator", "127.0.0.1.example.org"])
def test_the_token_goes_to_no_other_host_unencrypted(
    slurm: FakeSlurmctld, tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    flags = agent_flags(tmp_path, f"http://{host}:9850")
    assert "would take the token and the scripts to another host unencrypted" in fails(flags, capsys)
    # Told so, the agent goes on to the next mistake.
    told = fails([*flags, "--aggregator.allow-http", "--aggregator.ca-file=/no/file"], capsys)
    assert f"--aggregator.url: token and scripts go to {host} in clear text: use https" in told
    assert "--aggregator.ca-file: cannot use /no/file" in told


@pytest.mark.parametrize("url", ["https://aggregator", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_tls_and_this_machine_need_no_permission(
    slurm: FakeSlurmctld, tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    told = fails([*agent_flags(tmp_path, url), "--aggregator.ca-file=/no/file"], capsys)
    assert told.startswith("--aggregator.ca-file: cannot use /no/file")


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"hpc-jobscript-ingest, version {jobscript_ingest.__version__} (revision: ")
    assert "python version:" in said[1]


def test_the_help_has_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])

    assert "exit codes:\n  0  success\n  1  with --once" in capsys.readouterr().out
