"""Where the service is and who asks: flags, then variables, then the user's own file, then the default."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aggregator.client.errors import Misused
from aggregator.client.settings import Where, settled


def where(folder: Path, flags: Mapping[str, Any] | None = None, **variables: str) -> Where:
    return settled(flags or {}, {"XDG_CONFIG_HOME": str(folder.parent), **variables})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hpc-aggregator"
    made.mkdir()
    return made


def keep(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


def test_without_settings_it_is_the_demo_without_a_token(folder: Path) -> None:
    found = where(folder)
    assert (found.named, found.token, found.cluster, found.timeout) == ("http://127.0.0.1:9850", None, None, 35.0)


def test_a_flag_wins_over_a_variable_and_that_over_the_file(folder: Path) -> None:
    (folder / "client.toml").write_text('url = "http://file"\ncluster = "file"\nca_file = "file"\ntimeout = 3\n')
    found = where(
        folder, {"url": "http://flag"}, HPC_AGGREGATOR_URL="http://variable", HPC_AGGREGATOR_CLUSTER="variable"
    )
    assert (found.named, found.cluster, found.ca_file, found.timeout) == ("http://flag", "variable", "file", 3.0)


def test_a_token_is_of_a_flags_file_else_of_a_variable_else_of_the_folder(folder: Path, tmp_path: Path) -> None:
    flag, own = keep(tmp_path / "flag", "of-flag\n"), keep(folder / "token", "of-folder\n")
    assert where(folder).token == "of-folder"
    assert where(folder, HPC_AGGREGATOR_TOKEN="of-variable").token == "of-variable"
    assert where(folder, {"token_file": str(flag)}, HPC_AGGREGATOR_TOKEN="of-variable").token == "of-flag"
    (folder / "client.toml").write_text('token_file = "other"\n')
    keep(folder / "other", "of-file")
    assert where(folder).token == "of-file"
    assert "of-file" not in repr(where(folder))
    assert stat.S_IMODE(own.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_token_that_others_can_read_or_change_is_refused(folder: Path, mode: int) -> None:
    keep(folder / "token", "secret", mode)
    with pytest.raises(Misused, match="chmod 600") as refused:
        where(folder)
    assert "secret" not in str(refused.value)


def test_a_token_may_come_by_a_pipe(folder: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"piped\n")
    os.close(write)
    try:
        assert where(folder, {"token_file": f"/dev/fd/{read}"}).token == "piped"
    finally:
        os.close(read)


@pytest.mark.parametrize("text", ["two\nlines", "", "a b", "caf\u00e9", "bell\x07"])
def test_what_is_no_token_is_refused(folder: Path, text: str) -> None:
    keep(folder / "token", text)
    with pytest.raises(Misused, match="must hold one token in one line"):
        where(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [("url = 3", "url: must be a string"), ("timeout = true", "timeout: must be a number"),
     ("timeout = 0", "client.toml: timeout: must be seconds"),
     ("token = 'x'", "token: no such key; there are url, cluster"),
     ("url", "client.toml: "), ('url = "ftp://h"', "client.toml: url: must be like https://"),
     ('url = "http://u:hush@h"', "client.toml: url: must have no user"), ('token_file = "gone"', "cannot be read")],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named(folder: Path, text: str, said: str) -> None:
    (folder / "client.toml").write_text(text)
    with pytest.raises(Misused) as refused:
        where(folder)
    assert said in str(refused.value)
    assert "hush" not in str(refused.value)


def test_over_the_time_limit_of_a_command_only_its_flag_wins(folder: Path) -> None:
    """A file for all commands does not let a login wait longer."""
    (folder / "client.toml").write_text("timeout = 60")
    environment = {"XDG_CONFIG_HOME": str(folder.parent)}
    assert settled({}, environment).timeout == 60.0
    assert settled({}, environment, 2.0).timeout == 2.0
    assert settled({"timeout": "5"}, environment, 2.0).timeout == 5.0


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x", "3601"])
def test_a_time_limit_that_cannot_be_is_refused(folder: Path, seconds: str) -> None:
    with pytest.raises(Misused, match="--timeout: must be seconds"):
        where(folder, {"timeout": seconds})
