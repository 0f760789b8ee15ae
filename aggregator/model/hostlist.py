"""Slurm's host lists: `rack[1-2]node[01-04],login1` → names."""

import itertools
import re
from collections.abc import Iterator
from typing import Final

# Slurm itself writes up to 256 Ki ranges in one bracket; a list longer than this is refused, not expanded.
MAX_HOSTS = 65_536
_NOT_ASSIGNED = {"", "(null)", "None assigned"}
# One item: commas and white space inside brackets do not split it.
_ITEM: Final = re.compile(r"(?:[^\[\],\s]|\[[^\[\]]*\])+")
_BRACKET = re.compile(r"\[([^\]]*)\]")
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)


class HostlistError(ValueError):
    """The text is not a host list, or names more than MAX_HOSTS hosts."""


def expand_hostlist(text: str) -> tuple[str, ...]:
    """Expand a host list in its own order; an unassigned one is empty.

    Raises HostlistError for a malformed list or one over MAX_HOSTS.
    """
    if text.strip() in _NOT_ASSIGNED:
        return ()
    hosts: list[str] = []
    for item in _split(text):
        hosts.extend(itertools.islice(_expand_item(item), MAX_HOSTS + 1 - len(hosts)))
        if len(hosts) > MAX_HOSTS:
            raise HostlistError(f"more than {MAX_HOSTS} hosts")
    return tuple(hosts)


def _split(text: str) -> list[str]:
    """Split at commas and white space outside brackets."""
    if _ITEM.sub("", text).strip(", \t\n"):
        raise HostlistError(f"unbalanced brackets in {text[:80]!r}")
    return [match[0] for match in _ITEM.finditer(text)]


def _expand_item(item: str) -> Iterator[str]:
    """Multiply the brackets of one item with each other."""
    pieces = _BRACKET.split(item)
    ranges = [_numbers(body) for body in pieces[1::2]]
    literals = pieces[0::2]
    for numbers in itertools.product(*ranges):
        yield literals[0] + "".join(map("".join, zip(numbers, literals[1:], strict=True)))


def _numbers(body: str) -> list[str]:
    """Expand `01-03,7`; the width is that of each lower bound."""
    numbers: list[str] = []
    for part in body.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise HostlistError(f"not a range: {part[:40]!r}")
        low, high = match[1], match[2] or match[1]
        count = int(high) - int(low) + 1
        if count < 1 or len(numbers) + count > MAX_HOSTS:
            raise HostlistError(f"not a range of at most {MAX_HOSTS} hosts: {part[:40]!r}")
        numbers.extend(str(number).zfill(len(low)) for number in range(int(low), int(high) + 1))
    return numbers
