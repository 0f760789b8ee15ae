"""The file of tokens, and the service that reads it again when it changes."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from aggregator.api.errors import InvalidToken
from aggregator.api.tokens.file import TokenFileError, read_tokens, update_tokens
from aggregator.api.tokens.store import TokenStore
from aggregator.model.token import format_token

from .builders import NOW
from .tokens import make_token


@dataclass
class Monotonic:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.yml"


@pytest.fixture
def clock() -> Monotonic:
    return Monotonic()


@pytest.fixture
def store(file: Path, clock: Monotonic) -> TokenStore:
    return TokenStore(file, clock)


async def test_a_token_that_is_added_is_known_within_a_second(store: TokenStore, clock: Monotonic, file: Path) -> None:
    first = make_token(file, "first000", "read:all")
    assert (await store.authenticate(first, NOW)).id == "first000"
    second = make_token(file, "second00", "metrics")
    with pytest.raises(InvalidToken, match="token second00: not known here"):
        await store.authenticate(second, NOW)
    clock.now = 1.0
    assert (await store.authenticate(second, NOW)).scopes == ("metrics",)
    assert await store.active(NOW) == 2


async def test_a_token_that_is_taken_out_is_not_valid_any_more(store: TokenStore, clock: Monotonic, file: Path) -> None:
    token = make_token(file, "first000", "read:all")
    await store.authenticate(token, NOW)
    file.write_text("")
    clock.now = 1.0
    with pytest.raises(InvalidToken, match="not known"):
        await store.authenticate(token, NOW)
    assert store.error == "", "an empty file is no mistake: it is how all tokens are revoked"


@pytest.mark.parametrize("broken", ["- id: x", "][", "hello: world", "\xff", None], ids=str)
async def test_a_broken_file_leaves_the_tokens_that_were_known_and_is_logged_once(
    store: TokenStore, clock: Monotonic, file: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    token = make_token(file, "first000", "read:all")
    await store.authenticate(token, NOW)
    good = file.read_bytes()
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken.encode("latin-1"))
    caplog.set_level(logging.ERROR)
    for second in (1.0, 2.0, 3.0):
        clock.now = second
        assert (await store.authenticate(token, NOW)).id == "first000"
    assert store.error.startswith("auth.tokens.file: ")
    assert str(file) in store.error
    assert len(caplog.records) == 1

    file.write_bytes(good)
    clock.now = 4.0
    await store.authenticate(token, NOW)
    assert store.error == ""


async def test_a_file_that_comes_later_is_found(store: TokenStore, clock: Monotonic, file: Path) -> None:
    token = format_token("first000", b"first000" * 4)
    with pytest.raises(InvalidToken):
        await store.authenticate(token, NOW)
    assert "No such file" in store.error
    make_token(file, "first000", "read:all")
    clock.now = 1.0
    assert (await store.authenticate(token, NOW)).id == "first000"


async def test_a_secret_of_kubernetes_is_exchanged_by_a_link(
    store: TokenStore, clock: Monotonic, file: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.yml", tmp_path / "new.yml"
    make_token(old, "old00000", "read:all")
    token = make_token(new, "new00000", "read:all")
    file.symlink_to(old)
    await store.refresh()
    (tmp_path / "link").symlink_to(new)
    os.replace(tmp_path / "link", file)
    clock.now = 1.0
    assert (await store.authenticate(token, NOW)).id == "new00000"


def test_a_file_that_is_not_understood_is_not_overwritten(file: Path) -> None:
    file.write_text("- id: from a newer version\n")
    with pytest.raises(TokenFileError):
        make_token(file, "first000", "read:all")
    assert file.read_text() == "- id: from a newer version\n"


def test_a_writer_that_fails_in_the_middle_leaves_the_old_file_and_nothing_else(file: Path) -> None:
    make_token(file, "first000", "read:all")
    before = file.read_bytes()

    def fail(entries: object) -> list[object]:
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        update_tokens(file, fail)  # type: ignore[arg-type]
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} == {"tokens.yml", "tokens.yml.lock"}


def test_the_file_is_for_its_owner_only_and_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.yml"
    real.touch(0o644)
    file.symlink_to(real)
    make_token(file, "first000", "read:all")
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600


def test_every_mistake_is_named_with_its_line_and_no_value_that_may_be_a_token(file: Path) -> None:
    token = make_token(file, "first000", "read:all")
    good = file.read_text()
    again = good.partition("\n")[2]
    file.write_text(good.replace("hash: sha256:", f"hash: {token}") + again)
    with pytest.raises(TokenFileError) as caught:
        read_tokens(file)
    assert token not in str(caught.value)
    assert f"{file}:8: [0].hash: must be sha256: and 64 hexadecimal digits" in str(caught.value)
    file.write_text(good + again)
    with pytest.raises(TokenFileError, match="id first000: given twice"):
        read_tokens(file)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("read:all", "read:*", r'scope "read:\*": wildcards are not scopes; known are metrics, read:all'),
        ("read:all", "write:all", 'scope "write:all": unknown; known are metrics, read:all'),
        ("read:all", "ingest:a b", 'scope "ingest:a b": unknown'),
        ("read:all", "read:account:a b", 'scope "read:account:a b": unknown'),
        ("read:all", "read:own", "scope read:own: it goes together with a user"),
        ("expires: '", "expires: 'x", r"expires: must be a time such as 2026-01-31T12:00:00Z"),
        ("created: '", "created: '1", r"created: must be a time"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(file: Path, old: str, new: str, told: str) -> None:
    make_token(file, "first000", "read:all")
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(TokenFileError, match=told):
        read_tokens(file)


@pytest.mark.parametrize("exists", [True, False], ids=["the file's", "the folder's"])
def test_root_leaves_the_file_and_its_lock_to_the_owner(file: Path, exists: bool) -> None:
    """Whoever runs the test: without root's rights the owner is the one who runs it anyway."""
    nobody = 65534 if os.geteuid() == 0 else os.geteuid()
    if exists:
        file.touch()
    os.chown(file if exists else file.parent, nobody, -1)
    make_token(file, "first000", "read:all")
    assert [path.stat().st_uid for path in (file, file.with_name("tokens.yml.lock"))] == [nobody, nobody]
