"""Instant vectors as columns: a large answer becomes frames piece by piece, while it arrives."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec
import polars as pl

# A site has a handful of exporters, and each a few sets of labels.
_MOST_DECODERS: Final = 64


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """An expression that gives an instant vector, and which of its labels are wanted (column → label)."""

    promql: str
    labels: Mapping[str, str]


class VectorColumns:
    """The wanted labels of the series of a vector, "" where a series has none, and `value`, the value as text."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        fields = {label: f"label_{number}" for number, label in enumerate(dict.fromkeys(labels.values()))}
        self.decoder = _decoder(tuple(fields))
        self._takes = {column: attrgetter(fields[label]) for column, label in labels.items()}
        self._pieces: Mapping[str, list[pl.Series]] = {name: [_texts(name, [])] for name in (*labels, "value")}

    def extend(self, found: Iterable[Any], /) -> None:
        """Take decoded series."""
        metrics, values = [], []
        for one in found:
            metrics.append(one.metric)
            values.append(one.value.text)
        for name, take in self._takes.items():
            self._pieces[name].append(_texts(name, list(map(take, metrics))))
        self._pieces["value"].append(_texts("value", values))

    def frame(self) -> pl.DataFrame:
        """Give all that was taken, a row for each series."""
        return pl.DataFrame([pl.concat(pieces, rechunk=True) for pieces in self._pieces.values()])


class _Value(msgspec.Struct, array_like=True, gc=False):
    """The time, which is the evaluation time, and the value as text."""

    at: float
    text: str


def _texts(name: str, values: list[str]) -> pl.Series:
    return pl.Series(name, values, dtype=pl.String)


@lru_cache(maxsize=_MOST_DECODERS)
def _decoder(labels: tuple[str, ...]) -> msgspec.json.Decoder[list[Any]]:
    """Make what decodes series with no more of their labels than these, in the fields label_0 and so on."""
    names = {f"label_{number}": label for number, label in enumerate(labels)}
    metric = msgspec.defstruct("_Metric", [(name, str, "") for name in names], rename=names, gc=False)
    row = msgspec.defstruct("_Row", [("metric", metric), ("value", _Value)], gc=False)
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def each_once(texts: pl.Series, rewrite: Callable[[str], str]) -> pl.Series:
    """Rewrite texts of which many are the same, each distinct one once."""
    distinct = texts.unique()
    return texts.replace_strict(distinct, pl.Series([rewrite(text) for text in distinct], dtype=pl.String))


def side_by_side(values: Mapping[str, pl.DataFrame], keys: Sequence[str], names: Sequence[str]) -> pl.DataFrame:
    """Put values of the same keys into one row, each in a column of its name; null where there is none."""
    empty = {**dict.fromkeys(keys, pl.String), "window": pl.Int32, "job_id": pl.Int64}
    nothing = pl.DataFrame(schema={**{key: empty[key] for key in keys}, **dict.fromkeys(names, pl.Float64)})
    columns = [frame.rename({"value": name}) for name, frame in values.items()]
    return pl.concat([nothing, *columns], how="diagonal").group_by(keys).agg(pl.col(names).max())
