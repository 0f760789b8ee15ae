"""Runs that are exempt from rules: an exemption as an expression over the columns of `jobs`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import polars as pl

from aggregator.model.waste import Exemption

_ANY, _NONE = r"[\x{0}-\x{10FFFF}]", r"[^\x{0}-\x{10FFFF}]"
_WILDCARDS: Final = {"*": _ANY + "*", "?": _ANY}


def exempts(exemption: Exemption) -> pl.Expr:
    """Tell whether a run is exempt: all parts that are not empty must match; an empty exemption is for no run."""
    parts = [pl.col(column).is_in(sorted(names)) for column, names in _names(exemption).items()]
    if exemption.job_names:
        parts.append(pl.col("job_name").str.contains(_pattern(exemption.job_names)))
    return pl.all_horizontal(parts) if parts else pl.lit(False)


def describe(exemption: Exemption, run: Mapping[str, Any]) -> str:
    """Name what of a run, by column, is exempt."""
    parts = [f"{column} {run[column]}" for column in _names(exemption)]
    return ", ".join((*parts, f'job name "{run["job_name"]}"') if exemption.job_names else parts)


def _names(exemption: Exemption) -> Mapping[str, frozenset[str]]:
    names = {
        "partition": exemption.partitions, "qos": exemption.qos, "account": exemption.accounts, "user": exemption.users,
    }  # fmt: skip
    return {column: of_column for column, of_column in names.items() if of_column}


def _pattern(shell_patterns: tuple[str, ...]) -> str:
    """Write shell patterns, one of which must match the whole name, as a regular expression for polars.

    polars cannot read what `fnmatch.translate` writes.
    """
    return rf"\A(?:{'|'.join(map(_translate, shell_patterns))})\z"


def _translate(shell_pattern: str) -> str:
    written, at = [], 0
    while at < len(shell_pattern):
        character = shell_pattern[at]
        # "]" closes a set, but not as its first character; a bracket that is never closed is a plain one.
        first = at + 2 if shell_pattern.startswith("!", at + 1) else at + 1
        end = shell_pattern.find("]", first + 1) if character == "[" else -1
        plain = _WILDCARDS.get(character) or _literal(character)
        written.append(_set(shell_pattern[at + 1 : end]) if end > 0 else plain)
        at = max(at, end) + 1
    return "".join(written)


def _set(content: str) -> str:
    """Write what stands between brackets: one character of these and these ranges, after "!" any other."""
    negated = content.startswith("!")
    ranges = [f"{_literal(low)}-{_literal(high)}" for low, high in _ranges(content[negated:]) if low <= high]
    if not ranges:
        return _ANY if negated else _NONE
    return f"[{'^' * negated}{''.join(ranges)}]"


def _ranges(content: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(content):
        is_range = content.startswith("-", at + 1) and at + 2 < len(content)
        last = at + 2 if is_range else at
        yield content[at], content[last]
        at = last + 1


def _literal(character: str) -> str:
    return rf"\x{{{ord(character):X}}}"
