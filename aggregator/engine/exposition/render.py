"""Write the families of a frame, each to one compressed member, by expressions over whole columns.

Members are gzip streams: concatenated, they are one valid gzip body.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import polars as pl
from isal import igzip

from aggregator.engine.column import Family, Listing, Sample, Table
from aggregator.engine.exposition.counter import VALUE
from aggregator.engine.exposition.fold import Rest

_LEVEL = 1  # ISA-L's level 1 is ten times as fast as zlib's, at about its ratio
_FRAGMENT = "fragment"
_COUNT = "#"  # before a column's name: in how many rows it is shown
_CELLS = 50_000  # lines written in one pass
# The value of all labels that say what a row is, in the sum of those that are folded.
OTHER = "_other"
_ESCAPED = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_TRANSLATED = str.maketrans({**_ESCAPED})


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
    """The samples of a column, of how many rows they are, and of how many there are none because they are folded."""

    text: bytes
    count: int
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


class Writer:
    """Writes the families of a table; its expressions are made once, for making them costs as much as many lines."""

    def __init__(self, table: Table, kind: str) -> None:
        """kind is the label of what the table's frames belong to, such as `cluster`."""
        self._table = table
        self._scope = kind
        self._samples = {column.name: column.sample for column in table.columns if column.sample is not None}
        self._texts = {name: _text(name, sample).alias(name) for name, sample in self._samples.items()}
        self._counts = {
            name: sample.is_shown(name).sum().alias(_COUNT + name) for name, sample in self._samples.items()
        }
        self._labels = fragment({label: pl.col(column) for label, column in table.labels.items()})

    def write(self, of: str, frame: pl.DataFrame, rests: Mapping[str, Rest]) -> Mapping[str, Member]:
        """Write every family that has samples: family name → member. of is what the frame belongs to.

        rests are what columns have beside the frame's rows.
        """
        lines = self._lines(of, frame)
        written: dict[Family, list[_Lines]] = {}
        for column, sample in self._samples.items():
            family = written.setdefault(sample.family, [])
            if column in lines:
                family.append(lines[column])
            if column in rests:
                family.append(self._rest(of, sample, rests[column]))
        members = {family.name: _member(family, columns) for family, columns in written.items() if columns}
        return {name: member for name, member in members.items() if member.series or member.folded}

    def _lines(self, of: str, frame: pl.DataFrame) -> Mapping[str, _Lines]:
        """Write the samples of the columns; a row in which a column is not known has none.

        Many columns of few rows are written in one pass, for a pass costs as much as a thousand lines; few columns of
        many rows, for the text of a pass is held whole.
        """
        shown = frame.filter(frame[self._table.where]) if self._table.where else frame
        if shown.is_empty():
            return {}
        with_labels = shown.with_columns(self._with_scope(of, self._labels))
        lines: dict[str, _Lines] = {}
        columns, at_once = list(self._samples), max(1, _CELLS // shown.height)
        for first in range(0, len(columns), at_once):
            names = columns[first : first + at_once]
            found = with_labels.select(*(self._texts[name] for name in names), *(self._counts[name] for name in names))
            lines |= {name: _Lines(found[name].item().encode(), found[_COUNT + name].item()) for name in names}
        return lines

    def _rest(self, of: str, sample: Sample, rest: Rest) -> _Lines:
        """Write the sums of a column's rows that have no series of their own."""
        shown = replace(sample, constant=False, where="")
        others = fragment(dict.fromkeys(self._table.labels, OTHER))
        found = rest.others.with_columns(self._with_scope(of, others)).select(_text(VALUE, shown))
        return _Lines(found.item().encode(), len(rest.others), rest.folded)

    def _with_scope(self, of: str, labels: pl.Expr) -> pl.Expr:
        return _joined(fragment({self._scope: of}), labels).alias(_FRAGMENT)


def _member(family: Family, columns: Sequence[_Lines]) -> Member:
    """Put the lines of a family's columns together."""
    series = len(family.edges) + 3 if family.edges else 1
    count, folded = sum(column.count for column in columns), sum(column.folded for column in columns)
    return Member(compress(b"".join(column.text for column in columns)), series * count, series * folded)


def _text(column: str, sample: Sample) -> pl.Expr:
    """Write a column's samples, one after the other."""
    own: dict[str, pl.Expr | str] = {**sample.labels}
    own |= {label: pl.col(name) for label, name in sample.label_columns.items()}
    labels = _joined(pl.col(_FRAGMENT), fragment(own)) if own else pl.col(_FRAGMENT)
    if sample.total:
        text = _histogram(column, sample, labels)
    else:
        value = pl.lit("1.0") if sample.constant else _number(pl.col(column))
        text = _line(sample.family.name, labels, value)
    return text.filter(sample.is_shown(column)).str.join("")


def fragment(labels: Mapping[str, pl.Expr | str]) -> pl.Expr:
    """Write `a="x",b="y"` of each row with escaped values; an empty value is no label, as Prometheus sees it."""
    pairs = [_pair(label, value) for label, value in labels.items()]
    return pl.concat_str(pairs).str.strip_suffix(",") if pairs else pl.lit("")


def _pair(label: str, value: pl.Expr | str) -> pl.Expr:
    if isinstance(value, str):
        return pl.lit(f'{label}="{value.translate(_TRANSLATED)}",' if value else "")
    text = value.cast(pl.String)
    pair = pl.concat_str(pl.lit(f'{label}="'), text.str.replace_many(_ESCAPED), pl.lit('",'))
    return pl.when(text.fill_null("") == "").then(pl.lit("")).otherwise(pair)


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
