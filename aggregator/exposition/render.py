"""Render the families of one view, each to one compressed member, fast enough for millions of samples.

Values of a family are serialised by one orjson call and interleaved with label fragments that live as long as their
entity. Members are gzip streams: concatenated, they are one valid gzip body.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from aggregator.engine.exposition import Member, compress
from aggregator.exposition.labels import fragment, shorten
from aggregator.families import ALL
from aggregator.families.spec import Entity, Family, Histogram, View

# Fragments of a family's own labels that are kept from one refresh to the next; job names make new ones all the time.
MAX_EXTRAS = 200_000
JOB_NAME = "job_name"
# Anybody chooses the name of a job, and one label that is too long for a Prometheus costs it the whole page.
JOB_NAME_BYTES = 128


@dataclass(frozen=True, slots=True)
class _Column:
    """Entities of one kind with their label fragments, in one order."""

    entities: Sequence[Any]
    fragments: Sequence[str]


class Renderer:
    """Render one cluster's or file system's view again and again, keeping fragments of entities that stay.

    Names of jobs are cut to `job_name_bytes`; 0 leaves their label out.
    """

    def __init__(self, job_name_bytes: int = JOB_NAME_BYTES) -> None:
        self._job_name_bytes = job_name_bytes
        self._fragments: dict[str, dict[tuple[str, ...], str]] = {}
        self._extras: dict[str, dict[tuple[str, ...], str]] = {}

    def render(self, view: View) -> Mapping[str, Member]:
        """Render every family that has samples in this view: family name → member."""
        columns: dict[str, _Column] = {}
        members: dict[str, Member] = {}
        for family in ALL:
            entity = family.entity
            if entity.name not in columns:
                columns[entity.name] = self._column(view, entity)
            column = columns[entity.name]
            extras = self._extras.setdefault(family.name, {})
            lines, series = render_family(family, column, extras, self._job_name_bytes) if column.entities else (b"", 0)
            if series:
                members[family.name] = Member(compress(lines), series)
        return members

    def _column(self, view: View, entity: Entity[Any]) -> _Column:
        entities = entity.of(view)
        keys = [entity.label_values(view, item) for item in entities]
        known = self._fragments.get(entity.name, {})
        fresh = {key: known.get(key) or fragment(entity.labels, key) for key in keys}
        self._fragments[entity.name] = fresh
        return _Column(entities, [fresh[key] for key in keys])


def render_family(
    family: Family[Any], column: _Column, extras: dict[tuple[str, ...], str], job_name_bytes: int = JOB_NAME_BYTES
) -> tuple[bytes, int]:
    """Write a family's samples and count them; extras keeps the fragments of the family's own labels."""
    if family.value is not None:
        values: list[Any] = list(map(family.value, column.entities))
        if None not in values:
            return _interleave(family.name, column.fragments, values)
        labels = [label for label, value in zip(column.fragments, values, strict=True) if value is not None]
        return _interleave(family.name, labels, [value for value in values if value is not None])
    if family.histogram is not None:
        return _histograms(family, column)
    return _labelled(family, column, extras, job_name_bytes)


def _labelled(
    family: Family[Any], column: _Column, extras: dict[tuple[str, ...], str], job_name_bytes: int
) -> tuple[bytes, int]:
    """Write the samples that have labels of their own; most label values come again and again."""
    if len(extras) > MAX_EXTRAS:
        extras.clear()
    labels: list[str] = []
    numbers: list[float] = []
    for base, entity in zip(column.fragments, column.entities, strict=True):
        for extra, number in family.extra_samples(entity):
            if extra not in extras:
                extras[extra] = fragment(family.labels, _shortened(family.labels, extra, job_name_bytes))
            labels.append(_joined(base, extras[extra]))
            numbers.append(number)
    return _interleave(family.name, labels, numbers)


def _shortened(names: Sequence[str], values: Sequence[str], job_name_bytes: int) -> Sequence[str]:
    pairs = zip(names, values, strict=True)
    return [shorten(value, job_name_bytes) if name == JOB_NAME else value for name, value in pairs]


def _joined(base: str, extra: str) -> str:
    return f"{base},{extra}" if extra else base


def _interleave(name: str, labels: Sequence[str], values: Sequence[float]) -> tuple[bytes, int]:
    """Write `name{labels} value` lines, the values by one call of orjson."""
    if not values:
        return b"", 0
    # Samples are floats: as integers, sums past 2^64 could not be written.
    numbers = list(map(float, values))
    written = orjson.dumps(numbers)[1:-1].decode().split(",")
    if "null" in written:
        # orjson writes null for what JSON has no word for; the exposition has.
        written = [_special(number) if word == "null" else word for word, number in zip(written, numbers, strict=True)]
    parts = [f"\n{name}{{"] * (4 * len(written))
    parts[0] = f"{name}{{"
    parts[1::4] = labels
    parts[2::4] = ["} "] * len(written)
    parts[3::4] = written
    parts.append("\n")
    return _encode("".join(parts)), len(written)


def _special(value: float) -> str:
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


def _histograms(family: Family[Any], column: _Column) -> tuple[bytes, int]:
    lines: list[str] = []
    assert family.histogram is not None
    for base, entity in zip(column.fragments, column.entities, strict=True):
        if histogram := family.histogram(entity):
            lines.extend(_histogram_lines(family.name, base, histogram))
    return _encode("".join(lines)), len(lines)


def _encode(text: str) -> bytes:
    """Encode as UTF-8, which has no lone surrogates: one broken name must not take the whole page down."""
    return text.encode(errors="replace")


def _histogram_lines(name: str, base: str, histogram: Histogram) -> Iterable[str]:
    for edge, count in histogram.buckets:
        le = "+Inf" if edge == float("inf") else repr(edge)
        yield f'{name}_bucket{{{base},le="{le}"}} {count}\n'
    yield f"{name}_sum{{{base}}} {histogram.total}\n"
    yield f"{name}_count{{{base}}} {histogram.buckets[-1][1]}\n"
