import os
from pathlib import Path

import pytest

from aggregator.model.storage import Allocations, Award, StorageQuota
from aggregator.sources.allocations import AllocationsFile, parse
from aggregator.sources.base import FetchError

GOOD = """
accounts:
  def-kim: {cpus: 150.5, gpus: 8}
  def-lee: {}
storage:
  project:
    def-kim: {bytes: 10TB, inodes: 500000}
    def-lee: {bytes: 1024}
"""


def parse_text(text: str) -> Allocations:
    return parse(text.encode(), "allocations.yml")


def test_quotas_and_awards_are_read() -> None:
    assert parse_text(GOOD) == Allocations(
        0.0,
        {"project": {"def-kim": StorageQuota(10 * 2**40, 500_000), "def-lee": StorageQuota(1024)}},
        {"def-kim": Award(150.5, 8.0), "def-lee": Award()},
    )


def test_the_users_of_groups_and_projects_are_read() -> None:
    read = parse_text("""
storage: {project: {def-kim: {bytes: 10TB, users: [alice, "1001"]}, def-lee: {users: [lee]}, def-roy: {bytes: 1TB}}}
cloud: {arbutus: {def-kim-dev: {users: [alice]}, empty: {}}}
""")
    assert read.group_members == {"project": {"def-kim": {"alice", "1001"}, "def-lee": {"lee"}}}
    assert read.project_members == {"arbutus": {"def-kim-dev": {"alice"}}}
    assert read.quotas["project"].keys() == {"def-kim", "def-roy"}, "users alone are no quota"


@pytest.mark.parametrize("text", ["", "# nothing\n", "accounts: {}\nstorage: {}\n", "{}"])
def test_a_file_of_nothing_is_nothing(text: str) -> None:
    assert parse_text(text) == Allocations(0.0)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("account: {}", "account"),
        ("accounts: {def-kim: {cpu: 5}}", "accounts.def-kim.cpu"),
        ("accounts: {def-kim: {cpus: -1}}", "accounts.def-kim.cpus"),
        ("accounts: {def-kim: {cpus: many}}", "accounts.def-kim.cpus"),
        ("accounts: {def-kim: {cpus: .nan}}", "accounts.def-kim.cpus"),
        ("accounts: {def-kim: 5}", "accounts.def-kim"),
        ("accounts: [def-kim]", "accounts"),
        ("storage: {project: {def-kim: {bytes: 10XB}}}", "storage.project.def-kim.bytes"),
        ("storage: {project: {def-kim: {bytes: -5}}}", "storage.project.def-kim.bytes"),
        ("storage: {project: {def-kim: {inodes: 1.5}}}", "storage.project.def-kim.inodes"),
        ("storage: {project: {def-kim: {inodes: -1}}}", "storage.project.def-kim.inodes"),
        ("storage: {project: {def-kim: {byte: 1}}}", "storage.project.def-kim.byte"),
        ("storage: {project: {def-kim: {users: alice}}}", "storage.project.def-kim.users"),
        ("cloud: {arbutus: {p: {user: [a]}}}", "cloud.arbutus.p.user"),
        ("cloud: {arbutus: {p: {users: [a, 1001]}}}", "cloud.arbutus.p.users.1"),
        ("- a\n- b\n", "allocations.yml"),
        ("just text", "allocations.yml"),
    ],
)
def test_every_mistake_is_refused_and_named(text: str, names: str) -> None:
    with pytest.raises(FetchError, match=r"^allocations\.yml: ") as error:
        parse_text(text)
    assert names in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "accounts: {def-kim: {cpus: yes}}",
        'accounts: {def-kim: {cpus: "150"}}',
        "accounts: {def-kim: {cpus: .inf}}",
        "storage: {project: {def-kim: {inodes: true}}}",
        'storage: {project: {def-kim: {inodes: "5"}}}',
    ],
)
def test_a_value_of_another_kind_is_refused(text: str) -> None:
    """YAML's `yes` is not one CPU, and an infinite award is none."""
    with pytest.raises(FetchError):
        parse_text(text)


def test_a_key_that_is_there_twice_is_refused() -> None:
    with pytest.raises(FetchError, match="def-kim"):
        parse_text("accounts:\n  def-kim: {cpus: 1}\n  def-kim: {cpus: 2}\n")


@pytest.mark.parametrize("text", ["[]", "false", "0"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(FetchError):
        parse_text(text)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(FetchError) as error:
        parse_text("accounts: {a: {cpus: x}, b: {gpus: -1}}\nnonsense: 1")
    assert all(name in str(error.value) for name in ("accounts.a.cpus", "accounts.b.gpus", "nonsense"))


@pytest.mark.parametrize(
    "content", [b"a: [1, 2", b"\tx: 1", b"\xff\xfe\x00", b"a: &x [*x", b"!!python/object:os.system x"]
)
def test_what_is_not_yaml_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(FetchError, match=r"^allocations\.yml:\d+: not YAML: ") as error:
        parse(content, "allocations.yml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("account", ["1001", "null", "true"])
def test_a_name_is_text_whatever_yaml_takes_it_for(account: str) -> None:
    """A group without a name is known by its number."""
    assert set(parse_text(f"accounts: {{{account}: {{cpus: 1}}}}").awards) == {account}


def test_a_name_that_cannot_be_encoded_is_refused() -> None:
    """It would break the page: label values are UTF-8."""
    with pytest.raises(FetchError):
        parse_text('accounts: {"\\ud800": {cpus: 1}}')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "allocations.yml"
    file.write_text(GOOD)
    return file


async def test_the_file_is_fetched(file: Path) -> None:
    source = AllocationsFile(file)
    found = await source.fetch(5.0)
    assert (found.time, found.awards["def-kim"], source.rows) == (5.0, Award(150.5, 8.0), 4)


async def test_a_changed_file_is_read_again(file: Path) -> None:
    source = AllocationsFile(file)
    await source.fetch(5.0)
    file.write_text(GOOD.replace("150.5", "250.5"))
    os.utime(file, ns=(0, 1))
    assert (await source.fetch(6.0)).awards["def-kim"].cpus == 250.5


async def test_a_file_that_has_not_changed_is_not_read_again(file: Path) -> None:
    os.utime(file, ns=(0, 1))
    source = AllocationsFile(file)
    await source.fetch(5.0)
    file.write_text(GOOD.replace("150.5", "250.5"))
    os.utime(file, ns=(0, 1))
    found = await source.fetch(6.0)
    assert (found.time, found.awards["def-kim"].cpus) == (6.0, 150.5)


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"allocations\.file: cannot read '.*/no\.yml': No such file or directory"):
        await AllocationsFile(tmp_path / "no.yml").fetch(5.0)


async def test_a_file_that_comes_back_is_read(file: Path) -> None:
    source = AllocationsFile(file)
    await source.fetch(5.0)
    moved = file.rename(file.with_suffix(".old"))
    with pytest.raises(FetchError):
        await source.fetch(6.0)
    moved.rename(file)
    assert (await source.fetch(7.0)).awards["def-kim"].cpus == 150.5


async def test_a_file_that_is_broken_is_an_error_until_it_is_mended(file: Path) -> None:
    source = AllocationsFile(file)
    await source.fetch(5.0)
    file.write_text("accounts: [")
    for at in (6.0, 7.0):
        with pytest.raises(FetchError, match="not YAML"):
            await source.fetch(at)
    file.write_text(GOOD)
    assert (await source.fetch(8.0)).awards["def-lee"] == Award()
