"""`hpc-aggregator token`: what is printed where, and what is kept."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.model.token import TOKEN_PATTERN, token_id_of

CONFIG = """
auth: { tokens: { file: tokens.yml } }
clusters: { narval: { slurmacct: { host: h, user: u, password: p }, prometheus: { url: "http://h" } } }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.yml"


def run(file: Path, *arguments: str) -> int:
    return main(["token", *arguments, f"--tokens.file={file}"])


def create(file: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(file, "create", *(arguments or ("--name=portal", "--scope=read:all"))) == 0
    return capsys.readouterr().out.rstrip("\n")


def listed(file: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert run(file, "list", "--format=json") == 0
    entries: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return entries


def test_the_token_alone_goes_to_standard_output_and_is_not_kept(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "create", "--name=portal", "--scope=read:all", "--scope=metrics") == 0
    out, err = capsys.readouterr()
    token = out.removesuffix("\n")
    assert re.fullmatch(TOKEN_PATTERN, token)
    assert token not in err + file.read_text()
    assert f"token {token_id_of(token)} (portal): read:all, metrics, expires " in err
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_expires_after_90_days_unless_told_otherwise(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(file, capsys)
    create(file, capsys, "--name=b", "--scope=metrics", "--expires=never")
    create(file, capsys, "--name=c", "--scope=metrics", "--expires=1h")
    seconds = []
    for entry in listed(file, capsys):
        created, expires = entry["created"], entry["expires"]
        assert isinstance(created, str)
        lifetime = (
            datetime.fromisoformat(expires) - datetime.fromisoformat(created) if isinstance(expires, str) else None
        )
        seconds.append(lifetime.total_seconds() if lifetime else None)
    assert seconds == [90 * 86_400, None, 3600]


def test_a_token_of_a_user_reads_the_users_own(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(file, capsys, "--name=b", "--user=alice")
    (entry,) = listed(file, capsys)
    assert (entry["user"], entry["scopes"]) == ("alice", ["read:own"])


def test_the_list_shows_states_and_neither_hashes_nor_tokens(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = create(file, capsys, "--name=a ☃", "--scope=ingest:narval", "--expires=1ms")
    other = create(file, capsys)
    assert run(file, "revoke", token_id_of(other)) == 0
    capsys.readouterr()
    assert run(file, "list") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "NAME", "USER", "SCOPES", "CREATED", "EXPIRES", "STATE"]
    assert first.split()[:5] == [token_id_of(token), "a", "☃", "-", "ingest:narval"]
    assert (first.split()[-1], second.split()[-1]) == ("expired", "revoked")
    assert "sha256" not in first + second
    assert token not in first


def test_revoking_twice_keeps_the_first_time(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token_id = token_id_of(create(file, capsys))
    run(file, "revoke", token_id)
    before = file.read_text()
    assert run(file, "revoke", token_id) == 0
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "--name=a", "--scope=read:*"), '--scope "read:*": wildcards are not scopes; known are metrics'),
        (("create", "--name=a", "--scope=admin"), '--scope "admin": unknown; known are metrics, read:all, read:own'),
        (("create", "--name=a"), "--scope: at least one is needed"),
        (("create", "--name=a", "--scope=read:own"), "--scope read:own: it goes together with a user"),
        (("create", "--name=a", "--user=b", "--scope=metrics"), "--scope read:own: it goes together with a user"),
        (("create", "--name=a\nb", "--scope=metrics"), "--name: must be 1–100 printable characters"),
        (("create", "--name=${HOME}", "--scope=metrics"), '--name: must be 1–100 printable characters without "$"'),
        (("create", "--name=", "--scope=metrics"), "--name: must be"),
        (("create", "--name=a", "--user="), "--user: must be"),
        (("revoke", "nothing0"), "no token 'nothing0'; there is: none"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_kept(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert run(file, *arguments) == 2
    out, err = capsys.readouterr()
    assert (out, told in err) == ("", True)
    assert not file.exists() or arguments[0] == "revoke"


@pytest.mark.parametrize("expires", ["3", "tomorrow", "-1d", ""])
def test_a_lifetime_needs_a_unit(file: Path, capsys: pytest.CaptureFixture[str], expires: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(file, "create", "--name=a", "--scope=metrics", f"--expires={expires}")
    assert caught.value.code == 2
    assert "argument --expires: not a duration" in capsys.readouterr().err


def test_where_the_file_cannot_be_written_the_entry_to_add_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is not there is as read-only as a Secret of Kubernetes, for root too."""
    missing = tmp_path / "nowhere" / "tokens.yml"
    assert run(missing, "create", "--name=portal", "--scope=read:all") == 1
    out, err = capsys.readouterr()
    token = out.removesuffix("\n")
    by_hand = tmp_path / "tokens.yml"
    by_hand.write_text(err.partition("\n")[2])
    (entry,) = listed(by_hand, capsys)
    assert (entry["id"], entry["name"], entry["state"]) == (token_id_of(token), "portal", "active")


def test_the_file_is_that_of_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yml"
    config.write_text(CONFIG)
    assert main(["token", "create", "--name=a", "--scope=metrics", f"--config.file={config}"]) == 0
    capsys.readouterr()
    assert len(listed(tmp_path / "tokens.yml", capsys)) == 1
    config.write_text(CONFIG.replace("auth: { tokens: { file: tokens.yml } }", ""))
    assert main(["token", "list", f"--config.file={config}"]) == 2
    assert "auth.tokens.file: not configured; add it, or give --tokens.file" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none.yml", "list") == 2
    assert f"{tmp_path}/none.yml: cannot read: No such file" in capsys.readouterr().err


def test_writers_at_the_same_time_lose_no_entry(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lock is on an open file, so threads wait for each other as processes do."""
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: run(file, "create", f"--name=w{n}", "--scope=metrics"), range(24)))
    assert codes == [0] * 24
    tokens = capsys.readouterr().out.split()
    assert sorted(str(entry["name"]) for entry in listed(file, capsys)) == sorted(f"w{n}" for n in range(24))
    assert len({token_id_of(token) for token in tokens}) == 24


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read {file}: No such file or directory: no token is known"),
        ("- id: 5", "{file}:1: [0].id: must be"),
    ],
    ids=["missing", "broken"],
)
def test_a_check_warns_of_a_file_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, told: str
) -> None:
    config, file = tmp_path / "config.yml", tmp_path / "tokens.yml"
    config.write_text(CONFIG)
    if content is not None:
        file.write_text(content)
        file.chmod(0o600)
    assert main(["check", f"--config.file={config}"]) == 0
    assert f"warning: auth.tokens.file: {told.format(file=file)}" in capsys.readouterr().err
    file.write_text("")
    file.chmod(0o600)
    assert main(["check", f"--config.file={config}"]) == 0
    assert "auth.tokens" not in capsys.readouterr().err
