"""Write the families of a frame, each to one compressed member, by expressions over whole columns.

Members are gzip streams: concatenated, they are one valid gzip body.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from types import MappingProxyType

import polars as pl
from isal import igzip

from aggregator.engine.column import Family, Listing, Sample, Table
from aggregator.engine.exposition.counter import VALUE
from aggregator.engine.exposition.fold import Rest

_LEVEL = 1  # ISA-L's level 1 is ten times as fast as zlib's, at about its ratio
_FRAGMENT = "fragment"
# The value of all labels that say what a row is, in the sum of those that are folded.
OTHER = "_other"
_ESCAPED = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


@dataclass(frozen=True, slots=True)
class Member:
    """The samples of one family, compressed, without HELP and TYPE.

    series counts them, and folded those that have no series of their own.
    """

    content: bytes
    series: int
    folded: int = 0


@dataclass(frozen=True, slots=True)
class _Lines:
    """The samples of a column, those of a row together, and of how many rows there are none because they are folded."""

    lines: pl.Series
    folded: int = 0


def head(family: Listing, openmetrics: bool) -> bytes:
    """Compress a family's HELP and TYPE lines, the only ones that differ between the two formats."""
    name = family.openmetrics_name if openmetrics else family.name
    return compress(f"# HELP {name} {escape_help(family.help)}\n# TYPE {name} {family.type}\n".encode())


def escape_help(text: str) -> str:
    """Escape a help text for the HELP line, for the text format and for OpenMetrics alike."""
    return text.replace("\\", r"\\").replace("\n", r"\n")


def compress(content: bytes) -> bytes:
    """Make one gzip member; without a time stamp, so that equal content gives equal bytes."""
    return igzip.compress(content, compresslevel=_LEVEL, mtime=0)


def render(
    table: Table, frame: pl.DataFrame, scope: Mapping[str, str], rests: Mapping[str, Rest] = MappingProxyType({})
) -> Mapping[str, Member]:
    """Write every family of a table that has samples: family name → member.

    scope has the labels of what the frame belongs to, such as `cluster="narval"`. rests are what columns have beside
    the frame's rows.
    """
    of_scope = {label: pl.lit(value) for label, value in scope.items()}
    of_rows = {label: pl.col(column) for label, column in table.labels.items()}
    of_others = {label: pl.lit(OTHER) for label in table.labels}
    shown = frame.filter(pl.col(table.where)) if table.where else frame
    with_fragments = shown.with_columns(fragment({**of_scope, **of_rows}).alias(_FRAGMENT))
    written: dict[Family, list[_Lines]] = {}
    for column in table.columns:
        if (sample := column.sample) is not None:
            lines = written.setdefault(sample.family, [])
            rest = rests.get(column.name)
            lines.append(_Lines(_lines(with_fragments, column.name, sample), rest.folded if rest else 0))
            if rest:
                others = rest.others.with_columns(fragment({**of_scope, **of_others}).alias(_FRAGMENT))
                lines.append(_Lines(_lines(others, VALUE, replace(sample, constant=False, where=""))))
    members = {family.name: _member(family, columns) for family, columns in written.items()}
    return {name: member for name, member in members.items() if member.series or member.folded}


def _member(family: Family, columns: Sequence[_Lines]) -> Member:
    """Put the lines of a family's columns together."""
    text = b"".join(column.lines.str.join("").cast(pl.Binary).item() for column in columns if len(column.lines))
    series = len(family.edges) + 3 if family.edges else 1
    count, folded = sum(len(column.lines) for column in columns), sum(column.folded for column in columns)
    return Member(compress(text), series * count, series * folded)


def fragment(labels: Mapping[str, pl.Expr]) -> pl.Expr:
    """Write `a="x",b="y"` of each row with escaped values; an empty value is no label, as Prometheus sees it."""
    pairs = [_pair(label, value.cast(pl.String)) for label, value in labels.items()]
    return pl.concat_str(pairs).str.strip_suffix(",") if pairs else pl.lit("")


def _pair(label: str, value: pl.Expr) -> pl.Expr:
    escaped = value.str.replace_many(_ESCAPED)
    pair = pl.concat_str(pl.lit(f'{label}="'), escaped, pl.lit('",'))
    return pl.when(value.fill_null("") == "").then(pl.lit("")).otherwise(pair)


def _lines(frame: pl.DataFrame, column: str, sample: Sample) -> pl.Series:
    """Write a column's samples, the lines of one row together; a row in which it is not known has none."""
    needed = {_FRAGMENT, column, *sample.label_columns.values(), *filter(None, (sample.total, sample.where))}
    known = frame.select(needed).filter(sample.is_shown(column))
    own = {label: pl.lit(value) for label, value in sample.labels.items()}
    own |= {label: pl.col(name) for label, name in sample.label_columns.items()}
    labels = _joined(pl.col(_FRAGMENT), fragment(own)) if own else pl.col(_FRAGMENT)
    if sample.total:
        return known.select(_histogram(column, sample, labels)).to_series()
    value = pl.lit("1.0") if sample.constant else _number(pl.col(column))
    return known.select(_line(sample.family.name, labels, value)).to_series()


def _line(name: str, labels: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit(f"{name}{{"), labels, pl.lit("} "), value, pl.lit("\n")).alias("line")


def _joined(base: pl.Expr, more: pl.Expr) -> pl.Expr:
    comma = pl.when((base == "") | (more == "")).then(pl.lit("")).otherwise(pl.lit(","))
    return pl.concat_str(base, comma, more)


def _number(value: pl.Expr) -> pl.Expr:
    """Write numbers: samples are floats, and what the engine writes as `inf` is `+Inf` in both formats."""
    number = value.cast(pl.Float64)
    infinite = pl.when(number > 0).then(pl.lit("+Inf")).otherwise(pl.lit("-Inf"))
    return pl.when(number.is_infinite()).then(infinite).otherwise(number.cast(pl.String))


def _histogram(counts: str, sample: Sample, labels: pl.Expr) -> pl.Expr:
    """Write a histogram of each row: its buckets by their upper edges, the sum, and the count, which is the last."""
    name = sample.family.name
    buckets = [
        _line(f"{name}_bucket", _joined(labels, _edge(edge)), _number(pl.col(counts).list.get(index)))
        for index, edge in enumerate((*sample.family.edges, inf))
    ]
    last = [
        _line(f"{name}_sum", labels, _number(pl.col(sample.total))),
        _line(f"{name}_count", labels, _number(pl.col(counts).list.last())),
    ]
    return pl.concat_str(*buckets, *last).alias("line")


def _edge(edge: float) -> pl.Expr:
    return pl.lit('le="+Inf"' if edge == inf else f'le="{float(edge)!r}"')
