"""What the pages tell an administrator to type is what there is."""

import re
import shlex
from pathlib import Path

import pytest

from aggregator.cli import _parser

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
INSTALLING = (ROOT / "docs" / "installing.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_installs_by_a_name_that_is_not_ours(page: Path) -> None:
    assert not re.search(r"pip3? install [^\n]*\bhpc-aggregator\b(?!/)", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one_that_there_is(page: Path) -> None:
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    for line in lines:
        found = re.match(r"(?:\$ )?(?:sudo -u \S+ )?(?:\S*/bin/)?hpc-aggregator (?!\")(.*)", line)
        if found and "--version" not in line:
            words = shlex.split(re.split(r" [>|#] ?", found[1])[0], comments=True)
            assert _parser().parse_args(words).run, line


def test_what_is_copied_of_the_wheel_is_in_it() -> None:
    """The wheel has deploy/systemd and docs/examples (tests/deploy/test_wheel.py)."""
    folders = {"systemd": ROOT / "deploy" / "systemd", "examples": ROOT / "docs" / "examples"}
    copied = re.findall(r"cp /opt/hpc-aggregator/share/hpc-aggregator/(\w+)/(\S+)", INSTALLING)
    assert {kind for kind, _ in copied} == folders.keys()
    assert [name for kind, name in copied if not (folders[kind] / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_has_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
