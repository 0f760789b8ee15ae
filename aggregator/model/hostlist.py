"""Slurm's host lists: `rack[1-2]node[01-04],login1` → names.

Several brackets multiply, text may follow the last one (Slurm ≥ 23.11), a range has the width of its lower bound, and
items are apart by commas or white space. Clusters of two to five dimensions write coordinates in base 36, one digit per
dimension, and boxes of them: `bgl[000x133,4A0]`. No dimension need be known: only a box has an x.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product
from typing import Final

# Slurm itself takes up to 256 Ki ranges in one bracket; a list longer than this is refused, not expanded.
MAX_HOSTS = 65_536
# slurmdbd keeps no longer name of a node. Both limits together bound the memory that any list can take.
MAX_NAME = 255
_NOT_ASSIGNED = {"", "(null)", "None assigned"}
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# One item: commas and white space inside brackets do not split it.
_ITEM: Final = re.compile(r"(?:[^\[\],\s]|\[[^\[\]]*\])+")
_BRACKET = re.compile(r"\[([^\]]*)\]")
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)
_BOX = re.compile(r"([0-9A-Z]{2,5})(?:x([0-9A-Z]{2,5}))?")


class HostlistError(ValueError):
    """The text is not a host list, names more than MAX_HOSTS hosts, or one longer than MAX_NAME."""


@dataclass(frozen=True, slots=True)
class _Range:
    """The numbers from low to high, filled with zeros up to a width."""

    low: int
    high: int
    width: int

    @property
    def count(self) -> int:
        return max(0, self.high - self.low + 1)

    @property
    def longest(self) -> int:
        return max(self.width, len(str(self.high)))

    def names(self) -> Iterator[str]:
        return (str(number).zfill(self.width) for number in range(self.low, self.high + 1))


@dataclass(frozen=True, slots=True)
class _Box:
    """The coordinates between two corners: for each dimension the digits that it may have."""

    sides: tuple[str, ...]

    @property
    def count(self) -> int:
        return math.prod(map(len, self.sides))

    @property
    def longest(self) -> int:
        return len(self.sides)

    def names(self) -> Iterator[str]:
        return map("".join, product(*self.sides))


def expand_hostlist(text: str) -> tuple[str, ...]:
    """Expand a host list in its own order; an unassigned one is empty.

    Raises HostlistError for a malformed list or one over a limit, which is found before anything is expanded.
    """
    if text.strip() in _NOT_ASSIGNED:
        return ()
    hosts: list[str] = []
    for item in _split(text):
        hosts.extend(_expand_item(item, MAX_HOSTS - len(hosts)))
    return tuple(hosts)


def _split(text: str) -> list[str]:
    """Split at commas and white space outside brackets."""
    if _ITEM.sub("", text).strip(", \t\n"):
        raise HostlistError(f"unbalanced brackets in {text[:80]!r}")
    return [match[0] for match in _ITEM.finditer(text)]


def _expand_item(item: str, room: int) -> Iterator[str]:
    """Multiply the brackets of one item with each other, to at most `room` names."""
    pieces = _BRACKET.split(item)
    literals = pieces[0::2]
    if sum(map(len, literals)) + len(literals) - 1 > MAX_NAME:
        raise HostlistError(f"a name of more than {MAX_NAME} characters: {item[:40]!r}")
    brackets = [[_part(part) for part in body.split(",")] for body in pieces[1::2]]
    if math.prod(sum(part.count for part in bracket) for bracket in brackets) > room:
        raise HostlistError(f"more than {MAX_HOSTS} hosts: {item[:40]!r}")
    if sum(map(len, literals)) + sum(max(part.longest for part in bracket) for bracket in brackets) > MAX_NAME:
        raise HostlistError(f"a name of more than {MAX_NAME} characters: {item[:40]!r}")
    for names in product(*(chain.from_iterable(part.names() for part in bracket) for bracket in brackets)):
        yield literals[0] + "".join(map("".join, zip(names, literals[1:], strict=True)))


def _part(text: str) -> _Range | _Box:
    """Read one part of a bracket: a number, a range, a coordinate or a box."""
    if match := _RANGE.fullmatch(text):
        part: _Range | _Box = _Range(int(match[1]), int(match[2] or match[1]), len(match[1]))
    elif match := _BOX.fullmatch(text):
        part = _Box(_sides(match[1], match[2] or match[1]))
    else:
        raise HostlistError(f"not a range: {text[:40]!r}")
    if not part.count:
        raise HostlistError(f"a range that ends before it begins: {text[:40]!r}")
    return part


def _sides(low: str, high: str) -> tuple[str, ...]:
    if len(low) != len(high):
        raise HostlistError(f"a box between corners of unequal dimensions: {low}x{high}")
    return tuple(_DIGITS[_DIGITS.index(first) : _DIGITS.index(last) + 1] for first, last in zip(low, high, strict=True))
