"""Hide secrets in scripts: bytes in, bytes out, in a time that is linear in the length of the script.

The expressions are RE2's, which cannot backtrack: neither a hostile script nor a careless rule can stop the agent.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import re2

REDACTED: Final = b"<redacted>"
# A secret that begins before the end of what is sent is found whole when it ends within this many bytes after it.
MARGIN_BYTES: Final = 65_536

_QUOTES: Final = (b'"', b"'")
# (start, end, rule)
_Span = tuple[int, int, str]


class PatternError(Exception):
    """An expression that cannot be used; the text says why."""


class Pattern:
    """A regular expression over bytes."""

    __slots__ = ("_compiled", "groups")

    def __init__(self, text: str) -> None:
        options = re2.Options()
        # Bytes are bytes: a script need not be UTF-8.
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.max_mem = 2 * 2**20
        try:
            self._compiled = re2.compile(text.encode(), options)
        except re2.error as error:
            reason = error.args[0] if error.args else ""
            said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            raise PatternError(f"not an expression of RE2: {said}") from None
        self.groups: int = self._compiled.groups

    def occurs_in(self, text: bytes) -> bool:
        """Tell whether the expression matches anywhere."""
        return self._compiled.search(text) is not None

    def matches_all_of(self, text: bytes) -> bool:
        """Tell whether the expression matches from the first byte to the last."""
        return self._compiled.fullmatch(text) is not None

    def matches(self, text: bytes) -> Iterator[tuple[tuple[int, int], list[tuple[int, int]]]]:
        """Give the place of each match and the places of what its groups hold, in the order of the text."""
        for match in self._compiled.finditer(text):
            groups = (match.span(number) for number in range(1, self.groups + 1))
            yield match.span(), sorted(span for span in groups if span[0] >= 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret: what the groups of `pattern` hold.

    It is none when `unless` occurs in the match, or `harmless` matches all of what the group holds.
    """

    name: str
    pattern: Pattern
    unless: Pattern | None = None
    harmless: Pattern | None = None

    def spans(self, text: bytes) -> Iterator[_Span]:
        """Find the secrets of this kind."""
        for (start, end), groups in self.pattern.matches(text):
            spans = [span for group in groups if (span := _within_quotes(text, *group))]
            spans = [span for span in spans if not self._is_harmless(text[slice(*span)])]
            if spans and not self._excepts(text[start:end]):
                yield from ((*span, self.name) for span in spans)

    def _is_harmless(self, secret: bytes) -> bool:
        return self.harmless is not None and self.harmless.matches_all_of(secret)

    def _excepts(self, match: bytes) -> bool:
        return self.unless is not None and self.unless.occurs_in(match)


@dataclass(frozen=True, slots=True)
class Redacted:
    """A script without its secrets, and how many there were by rule."""

    content: bytes
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Give the number of secrets."""
        return sum(self.counts.values())


def redact(text: bytes, rules: Sequence[Rule], limit: int) -> Redacted:
    """Replace every secret that begins within the first `limit` bytes, and cut there; no line is added or lost."""
    content = bytearray()
    counts: Counter[str] = Counter()
    position = 0
    for start, end, rule in _merged(heapq.merge(*(rule.spans(text) for rule in rules))):
        if start >= limit:
            break
        content += text[position:start]
        content += REDACTED + b"\n" * text.count(b"\n", start, end)
        counts[rule] += 1
        position = end
    content += text[position:limit]
    return Redacted(bytes(content[:limit]), counts)


def _merged(spans: Iterable[_Span]) -> Iterator[_Span]:
    """Join spans that overlap; the first one's rule gets the credit."""
    current: _Span | None = None
    for span in spans:
        if current is None or span[0] >= current[1]:
            if current:
                yield current
            current = span
        elif span[1] > current[1]:
            current = (current[0], span[1], current[2])
    if current:
        yield current


def _within_quotes(text: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Leave the quotes around a secret where they are; nothing between them is no secret."""
    if end - start >= 2 and text[start : start + 1] == text[end - 1 : end] and text[start : start + 1] in _QUOTES:
        start, end = start + 1, end - 1
    return (start, end) if end > start else None
