"""Write the families of a frame, compressed in pieces, by expressions over whole columns.

Pieces are gzip streams: concatenated, they are one valid gzip body.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import polars as pl
from isal import igzip

from aggregator.engine.column import Family, Listing, Sample, Table
from aggregator.engine.exposition.counter import VALUE
from aggregator.engine.exposition.fold import Rest

_LEVEL = 1  # ISA-L's level 1 is ten times as fast as zlib's, at about its ratio
_FRAGMENT = "fragment"
# Before a column's name: in how many rows it is shown, whether one of its values is infinite, its text as a label.
_COUNT, _INFINITE, _LABEL = "#", "~", "="
# What is written is held whole until it is compressed: of so many rows, and in one pass about so many lines.
_ROWS, _CELLS = 8_192, 20_000
# The value of all labels that say what a row is, in the sum of those that are folded.
OTHER = "_other"
_ESCAPED = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_TRANSLATED = str.maketrans({**_ESCAPED})
_SPECIAL = [character.encode() for character in _ESCAPED]


@dataclass(frozen=True, slots=True)
class Member:
    """The samples of one family without HELP and TYPE, in pieces that are compressed.

    series counts them, and folded those that have no series of their own.
    """

    pieces: Sequence[bytes]
    series: int
    folded: int = 0


@dataclass(frozen=True, slots=True)
class _Lines:
    """Samples of a column, compressed: of how many rows, and of how many there are none because they are folded."""

    content: bytes
    count: int
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of a table, what they belong to, and what was written of their columns."""

    of: str
    rows: pl.DataFrame
    lines: Mapping[str, _Lines]

    def equals(self, rows: pl.DataFrame, names: Iterable[str]) -> bool:
        """Tell whether columns are as they are in other rows."""
        return all(self.rows[name].equals(rows[name]) for name in names)


# What was written last by table, so that what is still the same is not written again.
Written = MutableMapping[str, Sequence[Slice]]


@dataclass(frozen=True, slots=True)
class _Column:
    """How a column is written; made once, for making expressions costs as much as writing many lines."""

    sample: Sample
    uses: Sequence[str]
    text: pl.Expr
    looks: Sequence[pl.Expr]


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
    """Writes the families of a table."""

    def __init__(self, table: Table, kind: str) -> None:
        """kind is the label of what the table's frames belong to, such as `cluster`."""
        self._table = table
        self._scope = kind
        self._columns = {column.name: _column(column.name, column.sample) for column in table.columns if column.sample}
        self._of_rows = _pieces(table.labels)
        own = [name for sample in table.samples for name in sample.label_columns.values()]
        self._labels = list(dict.fromkeys([*table.labels.values(), *own]))
        others = [table.where, *(name for sample in table.samples for name in (sample.where, sample.total))]
        self._needed = list(dict.fromkeys(filter(None, [*self._labels, *self._columns, *others])))
        self._keys = [*table.labels.values(), *filter(None, [table.where])]

    def write(self, of: str, frame: pl.DataFrame, rests: Mapping[str, Rest], known: Written) -> Mapping[str, Member]:
        """Write every family that has samples: family name → member. of is what the frame belongs to.

        rests are what columns have beside the frame's rows. known is what was written last; it gets what is written.
        """
        written: dict[str, list[_Lines]] = {name: [] for name in self._columns}
        slices = [*frame.select(self._needed).iter_slices(_ROWS)] if self._columns and frame.height else []
        before = known.get(self._table.name, ())[: len(slices)]
        known[self._table.name] = made = [self._slice(of, *each) for each in zip_longest(slices, before)]
        for each in made:
            for name, lines in each.lines.items():
                written[name].append(lines)
        for name, rest in rests.items():
            written[name].append(self._rest(of, self._columns[name].sample, rest))
        families: dict[Family, list[_Lines]] = {}
        for name, pieces in written.items():
            families.setdefault(self._columns[name].sample.family, []).extend(pieces)
        members = {family.name: _member(family, pieces) for family, pieces in families.items()}
        return {name: member for name, member in members.items() if member.series or member.folded}

    def _slice(self, of: str, rows: pl.DataFrame, before: Slice | None) -> Slice:
        """Write some rows; a column that is as it was in the same rows keeps its lines."""
        lines = dict[str, _Lines]()
        columns = self._columns
        if before is not None and before.of == of and before.equals(rows, self._keys):
            same = {name for name, column in columns.items() if before.equals(rows, column.uses)}
            lines = {name: each for name, each in before.lines.items() if name in same}
            columns = {name: column for name, column in columns.items() if name not in same}
        return Slice(of, rows, {**lines, **dict(self._rows(of, rows, columns))} if columns else lines)

    def _rows(self, of: str, rows: pl.DataFrame, columns: Mapping[str, _Column]) -> Iterator[tuple[str, _Lines]]:
        """Write the samples of some rows by column; a row in which a column is not known has none."""
        shown = rows.filter(rows[self._table.where]) if self._table.where else rows
        if not shown.is_empty():
            labels = pl.concat_str(pl.lit(self._scoped(of)), *self._of_rows, ignore_nulls=True)
            yield from _write(columns, _with_labels(shown, self._labels).with_columns(labels.alias(_FRAGMENT)))

    def _rest(self, of: str, sample: Sample, rest: Rest) -> _Lines:
        """Write the sums of a column's rows that have no series of their own."""
        if rest.others.is_empty():
            return _Lines(b"", 0, rest.folded)
        column = _column(VALUE, replace(sample, constant=False, where=""))
        labels = self._scoped(of) + _pairs(dict.fromkeys(self._table.labels, OTHER))
        rows = _with_labels(rest.others, list(sample.label_columns.values()))
        lines = dict(_write({VALUE: column}, rows.with_columns(pl.lit(labels).alias(_FRAGMENT))))
        return replace(lines.get(VALUE, _Lines(b"", 0)), folded=rest.folded)

    def _scoped(self, of: str) -> str:
        return f'{self._scope}="{of.translate(_TRANSLATED)}"'


def _write(columns: Mapping[str, _Column], rows: pl.DataFrame) -> Iterator[tuple[str, _Lines]]:
    """Write the samples of rows that have the texts of their labels.

    Many columns of few rows are written in one pass, for a pass costs as much as a thousand lines; few columns of many
    rows, for the text of a pass is held whole.
    """
    looks = rows.select(look for column in columns.values() for look in column.looks).row(0, named=True)
    shown = [name for name in columns if looks[_COUNT + name]]
    at_once = max(1, _CELLS // rows.height)
    for first in range(0, len(shown), at_once):
        names = shown[first : first + at_once]
        texts = rows.select(columns[name].text for name in names).row(0, named=True)
        for name in names:
            text = _infinite(texts.pop(name)) if looks[_INFINITE + name] else texts.pop(name)
            yield name, _Lines(compress(text), looks[_COUNT + name])


def _infinite(text: bytes) -> bytes:
    """Write infinities as both formats have them; a label's value has no line break, and so none of these."""
    return text.replace(b"} inf\n", b"} +Inf\n").replace(b"} -inf\n", b"} -Inf\n")


def _member(family: Family, pieces: Sequence[_Lines]) -> Member:
    """Put the lines of a family's columns together."""
    series = len(family.edges) + 3 if family.edges else 1
    count, folded = sum(each.count for each in pieces), sum(each.folded for each in pieces)
    return Member([each.content for each in pieces if each.count], series * count, series * folded)


def _column(name: str, sample: Sample) -> _Column:
    shown = sample.is_shown(name)
    number = pl.lit(1.0) if sample.constant else pl.col(sample.total or name).cast(pl.Float64)
    looks = shown.sum().alias(_COUNT + name), number.is_infinite().any().alias(_INFINITE + name)
    uses = [name, *sample.label_columns.values(), *filter(None, (sample.where, sample.total))]
    return _Column(sample, uses, _text(name, sample, shown).cast(pl.Binary).alias(name), looks)


def _text(column: str, sample: Sample, shown: pl.Expr) -> pl.Expr:
    """Write a column's samples, one after the other."""
    family, static = sample.family.name, _pairs(sample.labels)
    labels = [pl.col(_FRAGMENT).filter(shown)]
    if sample.label_columns:
        own = pl.concat_str(pl.lit(static), *_pieces(sample.label_columns), ignore_nulls=True)
        labels, static = [*labels, own.filter(shown)], ""
    pieces: list[pl.Expr] = []
    for suffix, more, value in _values(column, sample):
        text = pl.lit("1.0") if value is None else value.filter(shown).cast(pl.Float64).cast(pl.String)
        pieces += [pl.lit(f"{family}{suffix}{{"), *labels, pl.lit(f"{static}{more}}} "), text, pl.lit("\n")]
    return pl.concat_str(pieces).str.join("")


def _values(column: str, sample: Sample) -> Iterator[tuple[str, str, pl.Expr | None]]:
    """Give the lines of each row: what follows the family's name, a label more, and the value, None for 1.

    A histogram has its buckets by their upper edges, the sum, and the count, which is the last bucket's.
    """
    if not sample.total:
        yield "", "", None if sample.constant else pl.col(column)
        return
    counts = pl.col(column).list
    for index, edge in enumerate(sample.family.edges):
        yield "_bucket", f',le="{float(edge)!r}"', counts.get(index)
    yield "_bucket", ',le="+Inf"', counts.last()
    yield "_sum", "", pl.col(sample.total)
    yield "_count", "", counts.last()


def _with_labels(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Add the texts of columns as values of labels: escaped, and null where there is no label."""
    texts = [name for name in columns if not rows.schema[name].is_integer()]
    # Most columns have nothing to escape, and one look into all of their text is cheaper than one into each.
    joined = rows.select(pl.col(texts).cast(pl.String).str.join("").cast(pl.Binary))
    special = {each.name for each in joined if any(character in each.item() for character in _SPECIAL)}
    return rows.with_columns(_label(name, name in texts, name in special).alias(_LABEL + name) for name in columns)


def _label(column: str, is_text: bool, is_special: bool) -> pl.Expr:
    value = pl.col(column).cast(pl.String)
    return pl.when(value != "").then(value.str.replace_many(_ESCAPED) if is_special else value) if is_text else value


def _pieces(labels: Mapping[str, str]) -> Sequence[pl.Expr]:
    """Write `,a="x",b="y"` of each row from the texts of columns by label, in pieces that are null for no label."""
    pieces: list[pl.Expr] = []
    for label, column in labels.items():
        text = pl.col(_LABEL + column)
        known = pl.when(text.is_not_null())
        pieces += [known.then(pl.lit(f',{label}="')), text, known.then(pl.lit('"'))]
    return pieces


def _pairs(labels: Mapping[str, str]) -> str:
    """Write `,a="x",b="y"` with escaped values; an empty value is no label, as Prometheus sees it."""
    return "".join(f',{label}="{value.translate(_TRANSLATED)}"' for label, value in labels.items() if value)
