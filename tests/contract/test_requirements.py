"""The pins are whole: what they install needs nothing else, whatever is released after them."""

import re
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = {name: ROOT / "requirements" / f"{name}.txt" for name in ("runtime", "test")}
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)(?:\[(?P<extras>[a-z0-9,-]+)\])?==(?P<version>\S+) \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


class Pin(NamedTuple):
    """One line of a file, and the hashes below it."""

    version: str
    extras: frozenset[str]
    hashes: frozenset[str]


def pins(name: str) -> dict[str, Pin]:
    found: dict[str, Pin] = {}
    for block in re.split(r"\n(?=\S)", FILES[name].read_text().strip()):
        first, *hashes = block.splitlines()
        pin = PIN.match(first)
        assert pin, f"not a pin: {first}"
        assert hashes, f"without a hash: {first}"
        assert [line for line in hashes if not HASH.match(line)] == []
        extras = frozenset(filter(None, (pin["extras"] or "").split(",")))
        found[pin["name"]] = Pin(pin["version"], extras, frozenset(line.strip(" \\") for line in hashes))
    return found


def missing(pinned: dict[str, Pin], needed: Requirement) -> bool:
    pin = pinned.get(canonicalize_name(needed.name))
    return pin is None or not needed.specifier.contains(pin.version) or not needed.extras <= pin.extras


def needs(installed: Distribution, extras: frozenset[str]) -> list[Requirement]:
    """Give what a distribution needs here, with those of its extras."""
    return [
        needed
        for needed in map(Requirement, installed.requires or ())
        if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


@pytest.mark.parametrize("name", FILES)
def test_whatever_a_pinned_distribution_needs_is_pinned_with_the_extras_asked_for(name: str) -> None:
    pinned = pins(name)
    found = {each: distribution(each) for each in pinned}
    assert {each: one.version for each, one in found.items()} == {each: pin.version for each, pin in pinned.items()}
    lacking = {
        each: [str(one) for one in needs(found[each], pinned[each].extras) if missing(pinned, one)] for each in found
    }
    assert {each: those for each, those in lacking.items() if those} == {}


@pytest.mark.parametrize("name", FILES)
def test_what_the_project_needs_is_pinned(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(project["optional-dependencies"]["test"] if name == "test" else ())]
    assert [each for each in needed if missing(pins(name), Requirement(each))] == []


def test_what_is_tested_is_what_is_run() -> None:
    tested = pins("test")
    assert {name: pin for name, pin in pins("runtime").items() if tested.get(name) != pin} == {}


@pytest.mark.parametrize(
    "path", ["requirements/runtime.txt", "requirements/test.txt", "Makefile", ".ci/run", "pyproject.toml"]
)
def test_no_file_of_the_set_up_names_an_address(path: str) -> None:
    """Where packages come from is the machine's matter: its pip and apt know their mirrors."""
    assert (
        re.findall(r"\S+://\S+|pypi|(?<!no-emit-)(?:index-url|find-links|trusted-host)", (ROOT / path).read_text())
        == []
    )
