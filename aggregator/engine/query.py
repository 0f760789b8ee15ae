"""One grammar for every list: which rows, in which order, with which fields, from where on, or added up by what.

`FIELD=VALUE` (repeated, or with commas: any of them; `"A,B"` is one value), `min_FIELD`, `max_FIELD`, `sort=-FIELD`,
`fields=A,B`, `limit`, `cursor`, `group_by=A,B`. Nulls are last in any order, and no null is equal to, over or under a
value.
"""

import base64
import binascii
import difflib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import polars as pl

from aggregator.engine.frame import Frames, totals
from aggregator.engine.listed import Filters, Listed, flat

MAX_LIMIT: Final = 1000
DEFAULT_LIMIT: Final = 100
WORDS: Final = ("sort", "fields", "limit", "cursor", "group_by")
_ROW: Final = "_row_"
# Rows of a CSV that are written at once.
_PIECE: Final = 2000
_SHOWN: Final = 100
_VALUE: Final = re.compile(r'(?:\A|,)(?:"((?:[^"]|"")*)"(?=,|\Z)|([^,]*))')


class QueryError(ValueError):
    """A parameter that cannot be understood; the text names it, and the nearest name where one is near."""


@dataclass(frozen=True, slots=True)
class Order:
    """A field to sort by."""

    field: str
    descending: bool = False

    @classmethod
    def read(cls, text: str) -> "Order":
        """Read `-FIELD` or `FIELD`."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def __str__(self) -> str:
        return f"{'-' * self.descending}{self.field}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What is asked of a list. after has the values of the sort's fields in the last row that was answered."""

    listed: Listed
    filters: Filters
    group: tuple[str, ...]
    sort: tuple[Order, ...]
    fields: tuple[str, ...]
    limit: int
    after: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class ListPage:
    """Rows of an answer, the cursor of the next ones ("" for none), whose they are, and how many there are in all."""

    rows: pl.DataFrame
    total: int | None
    cursor: str
    owners: frozenset[str]


def read_query(listed: Listed, parameters: Iterable[tuple[str, str]]) -> ListQuery:
    """Read the parameters of a request, in their order.

    Raises QueryError.
    """
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        given.setdefault(name, []).append(value)
    words = {name: given.pop(name, []) for name in WORDS}
    for name in given:
        _check_filter(listed, name)
    group = tuple(_group(listed, values_of(words["group_by"])))
    schema = _schema(listed, group)
    sort = _sort(listed, schema, group, words["sort"])
    shown = {*listed.known} if not group else {*schema}
    fields = tuple(_known(name, shown, "fields") for name in values_of(words["fields"]))
    return ListQuery(
        listed=listed, filters={name: values_of(values) for name, values in given.items()}, group=group, sort=sort,
        fields=fields or (tuple(schema) if group else tuple(listed.fields)), limit=_limit(words["limit"]),
        after=_after(schema, sort, words["cursor"]),
    )  # fmt: skip


def find_rows(query: ListQuery, frame: pl.DataFrame, sees: pl.Expr | None, view: Any, frames: Frames) -> pl.Series:
    """Give the numbers of the rows that are asked for, of those that may be seen.

    Raises QueryError.
    """
    conditions = [*([] if sees is None else [sees]), *_conditions(query, view, frames)]
    if not conditions:
        return _numbers(frame)
    # As many as there are rows, whatever the conditions are of.
    holds = reduce(pl.Expr.__and__, conditions, pl.repeat(True, pl.len()))
    return frame.select(holds.fill_null(False).alias(_ROW)).to_series().arg_true()


def _numbers(frame: pl.DataFrame) -> pl.Series:
    return pl.int_range(frame.height, dtype=pl.UInt32, eager=True).alias(_ROW)


def page_of(query: ListQuery, frame: pl.DataFrame, sees: pl.Expr | None, view: Any, frames: Frames) -> ListPage:
    """Find one page of an answer; frames has its nested rows, sees is None for whoever sees everything.

    Raises QueryError.
    """
    rows = find_rows(query, frame, sees, view, frames)
    if query.group:
        sums = _sums(query, frame, rows)
        page, cursor = _cut(query, sums, _numbers(sums))
        return ListPage(page.select(query.fields), sums.height, cursor, _owners(page))
    page, cursor = _cut(query, frame, rows)
    return ListPage(query.listed.show(page, frames, query.fields), rows.len(), cursor, _owners(page))


def _cut(query: ListQuery, frame: pl.DataFrame, rows: pl.Series) -> tuple[pl.DataFrame, str]:
    """Give the rows of one page, with what is needed of them, and the cursor of the next."""
    found = _ordered(query, frame, rows).head(query.limit + 1)
    page = _needed(query, frame).select_seq(pl.all().gather(found.head(query.limit)))
    last = page.select_seq(order.field for order in query.sort).row(-1) if found.len() > query.limit else ()
    return page, write_cursor(query.sort, last) if last else ""


def _needed(query: ListQuery, frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out the columns that an answer does not need."""
    if query.group:
        return frame
    needed = query.listed.needs(query.fields) | {"user", *(order.field for order in query.sort)}
    return frame.select(name for name in frame.columns if name in needed)


def _owners(page: pl.DataFrame) -> frozenset[str]:
    """Give whose rows they are."""
    return frozenset(page["user"].unique().drop_nulls()) if "user" in page.columns else frozenset()


def _sums(query: ListQuery, frame: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Add up what adds up, by the values of some columns; what is known of none of a group is not known of it."""
    listed, by = query.listed, list(query.group)
    amounts = [name for name in listed.amounts if name not in by]
    of_groups = [each.value.alias(each.name) for each in listed.of_groups]
    needed = dict.fromkeys((*by, *amounts, *(name for each in of_groups for name in each.meta.root_names())))
    grouped = frame.select(*needed)[rows].group_by(by)
    return grouped.agg(pl.len().cast(pl.Int64).alias(listed.name), *totals(amounts), *of_groups)


def pieces_of(
    query: ListQuery, frame: pl.DataFrame, sees: pl.Expr | None, view: Any, frames: Frames
) -> tuple[Iterator[bytes], frozenset[str]]:
    """Give an answer whole, as CSV in pieces, and whose rows they are.

    Raises QueryError.
    """
    rows = find_rows(query, frame, sees, view, frames)
    if query.group:
        frame = _sums(query, frame, rows)
        rows = _numbers(frame)
    ordered, needed = _ordered(query, frame, rows), _needed(query, frame)

    def pieces() -> Iterator[bytes]:
        for begin in range(0, max(ordered.len(), 1), _PIECE):
            page = needed[ordered.slice(begin, _PIECE)]
            shown = page.select(query.fields) if query.group else query.listed.show(page, frames, query.fields)
            yield flat(shown).write_csv(include_header=begin == 0).encode()

    return pieces(), _owners(needed[ordered])


def _ordered(query: ListQuery, frame: pl.DataFrame, rows: pl.Series) -> pl.Series:
    """Put the numbers of rows in order, those after the cursor."""
    is_in_order = not query.group and tuple(map(str, query.sort)) == query.listed.order
    if is_in_order and query.after is None:
        return rows
    by = [order.field for order in query.sort]
    keys = frame.select(by)[rows].with_columns(rows.alias(_ROW))
    if query.after is not None:
        keys = keys.filter(_is_after(query.sort, query.after, keys.schema))
    if not is_in_order:
        keys = keys.sort(by, descending=[order.descending for order in query.sort], nulls_last=True)
    return keys[_ROW]


def _conditions(query: ListQuery, view: Any, frames: Frames) -> list[pl.Expr]:
    listed = query.listed
    found: list[pl.Expr] = []
    of_nested: dict[str, dict[str, Sequence[str]]] = {}
    for name, values in query.filters.items():
        if name in listed.choices:
            values = _chosen(name, values, listed.choices[name](view))
        if name in listed.conditions:
            found.append(listed.conditions[name](view, {**query.filters, name: values}))
        elif name in listed.columns:
            found.append(_any_of(name, listed.table.schema[name], values))
        elif bound := _bound_of(listed, name):
            found.append(_beyond(listed, name, bound, values))
        else:
            of_nested.setdefault(_nested_of(listed, name), {})[name] = values
    return [*found, *(each.holds(of_nested[each.name], frames) for each in listed.nested if each.name in of_nested)]


def _chosen(name: str, values: Sequence[str], choices: Collection[str]) -> Sequence[str]:
    """Give values, in any case, as the choices have them."""
    for value in values:
        if value.lower() not in choices:
            raise QueryError(f'{name}: must be one of {", ".join(sorted(choices))}, got "{value[:_SHOWN]}"')
    return [value.lower() for value in values]


def _check_filter(listed: Listed, name: str) -> None:
    """See that there is such a filter.

    Raises QueryError.
    """
    bounds = [f"{bound}{column}" for bound in _BOUNDS for column in listed.compared]
    nested = [column for each in listed.nested for column in each.columns]
    known = {*listed.conditions, *listed.compared, *bounds, *nested}
    if name not in known:
        raise QueryError(f"{name[:_SHOWN]}: no such parameter{_hint(name, {*known, *WORDS, *listed.words})}")


_BOUNDS: Final = {"min_": "__ge__", "max_": "__le__"}


def _bound_of(listed: Listed, name: str) -> str:
    return next((each for each in _BOUNDS if name.startswith(each) and name.removeprefix(each) in listed.columns), "")


def _beyond(listed: Listed, name: str, bound: str, values: Sequence[str]) -> pl.Expr:
    column = listed.columns[name.removeprefix(bound)]
    if not listed.table.schema[column.name].is_numeric():
        raise QueryError(f"{name}: {column.name} is no number")
    compare = getattr(pl.col(column.name), _BOUNDS[bound])
    bounds: list[pl.Expr] = [compare(_read(pl.Float64(), name, value)) for value in values]
    return reduce(pl.Expr.__and__, bounds)


def _nested_of(listed: Listed, name: str) -> str:
    return next(each.name for each in listed.nested if name in each.columns)


def _any_of(name: str, dtype: pl.DataType, values: Sequence[str]) -> pl.Expr:
    field = pl.col(name)
    if isinstance(dtype, pl.List):
        return reduce(pl.Expr.__or__, [field.list.contains(value) for value in values], pl.lit(False))
    of = pl.String() if isinstance(dtype, pl.Enum) else dtype
    parsed = pl.Series([_read(of, name, value) for value in values], dtype=of)
    return field.cast(of).is_in(parsed.implode())


def _read(dtype: pl.DataType, name: str, text: str) -> Any:
    """Read a value of a type.

    Raises QueryError.
    """
    try:
        if dtype == pl.Boolean:
            return {"true": True, "false": False}[text]
        if dtype.is_integer():
            return pl.Series([int(text)], dtype=dtype).item()
        return float(text) if dtype.is_float() else text
    except (KeyError, ValueError, OverflowError, TypeError, pl.exceptions.PolarsError):
        kind = "true or false" if dtype == pl.Boolean else "a number"
        raise QueryError(f"{name}: {text[:_SHOWN]!r} is not {kind}") from None


def _group(listed: Listed, names: Sequence[str]) -> list[str]:
    texts = {name for name, dtype in _schema(listed, ()).items() if dtype in (pl.String, pl.Boolean, pl.Enum)}
    return [_known(name, texts, "group_by") for name in names]


def _schema(listed: Listed, group: Sequence[str]) -> dict[str, pl.DataType]:
    """Give what an answer may be sorted by, and its types."""
    own = {name: listed.table.schema[name] for name in listed.columns}
    if not group:
        return own
    amounts = {name: own[name] for name in listed.amounts if name not in group}
    others = {each.name: pl.Float64() for each in listed.of_groups}
    return {**{name: own[name] for name in group}, listed.name: pl.Int64(), **amounts, **others}


def _sort(
    listed: Listed, schema: Mapping[str, pl.DataType], group: Sequence[str], values: Sequence[str]
) -> tuple[Order, ...]:
    """Read the order; rows that are equal in it come in the order of the list, or of the group's names."""
    asked = list({order.field: order for order in map(Order.read, values_of(values))}.values())
    for order in asked:
        if isinstance(schema[_known(order.field, {*schema}, "sort")], pl.List):
            raise QueryError(f"sort: {order.field} has several values in a row")
    named = {order.field for order in asked}
    rest = map(Order.read, group or listed.order)
    return (*asked, *(order for order in rest if order.field not in named))


def _limit(values: Sequence[str]) -> int:
    text = values[-1] if values else str(DEFAULT_LIMIT)
    if len(values) > 1 or not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_LIMIT):
        raise QueryError(f'limit: must be one number, 1–{MAX_LIMIT}, got "{text[:_SHOWN]}"')
    return int(text)


def _known(name: str, names: Iterable[str], parameter: str) -> str:
    """Give the name of a field.

    Raises QueryError for another one, with the name that is nearest.
    """
    known = {*names}
    if name not in known:
        raise QueryError(f'{parameter}: no field "{name[:_SHOWN]}"{_hint(name, known)}')
    return name


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name[:_SHOWN], sorted(known), n=1)
    return f", did you mean {near[0]}?" if near else ""


def values_of(texts: Iterable[str]) -> list[str]:
    """Give the values of a parameter, each once: commas part them, but for those in double quotes, as in a CSV."""
    found = (match for text in texts for match in _VALUE.finditer(text))
    return list(dict.fromkeys(match[2] if match[1] is None else match[1].replace('""', '"') for match in found))


def _is_after(sort: Sequence[Order], values: Sequence[Any], schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Tell whether a row comes after one that has these values in the sort's fields."""
    if not sort:
        return pl.lit(False)
    order, value = sort[0], values[0]
    field, last = pl.col(order.field), pl.lit(value, dtype=schema[order.field])
    others = _is_after(sort[1:], values[1:], schema)
    if value is None:
        return field.is_null() & others
    beyond = field < last if order.descending else field > last
    return field.is_null() | beyond | ((field == last) & others)


def write_cursor(sort: Sequence[Order], last: Sequence[Any]) -> str:
    """Write where an answer ends: the order, and the values of its last row."""
    text = json.dumps([[*map(str, sort)], last], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _after(schema: Mapping[str, pl.DataType], sort: Sequence[Order], values: Sequence[str]) -> tuple[Any, ...] | None:
    """Read a cursor, which anybody may have made.

    Raises QueryError.
    """
    if not values:
        return None
    try:
        (text,) = values
        of, last = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        if of == [*map(str, sort)]:
            pairs = zip(sort, last, strict=True)
            return tuple(pl.Series([value], dtype=schema[order.field]).item() for order, value in pairs)
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError, pl.exceptions.PolarsError):
        pass
    raise QueryError("cursor: must be the next_cursor of an earlier answer of the same path and order")
