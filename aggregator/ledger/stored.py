"""The ledger's totals as rows of the state: a key, `until`, and all of it as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from aggregator.model.energy import COMPONENTS, METERS, MODELS
from aggregator.model.ledger import (
    NODE_TOTALS,
    RUN_COSTS,
    RUN_TOTALS,
    USER_COSTS,
    USER_TOTALS,
    LedgerTotals,
)
from aggregator.model.readings import METER, DataType, Frame

_F: Final = pl.Float64
# Values that belong together are an object in the JSON: its name → the name in it → the column.
_OBJECTS: Final[Mapping[str, Mapping[str, str]]] = {
    "host_joules": {model: f"{model}_joules" for model in MODELS},
    "meters": {meter: f"{meter}_seconds" for meter in METERS},
    "joules": {component: f"{component}_joules" for component in COMPONENTS},
}
# component, currency, amount
_COST: Final = pl.List(pl.List(pl.String))
_AMOUNT: Final = "_cost"
Rows = Sequence[Sequence[Any]]


def from_rows(window_end: float, runs: Rows, users: Rows, nodes: Rows) -> LedgerTotals:
    """Read totals from rows: run_id, text; user, account, text; node, text.

    Fields that are not known are ignored, missing ones are 0 or not known. Raises ValueError that names the row whose
    text cannot be read: a ledger that silently began anew would make counters go back.
    """
    of_runs, of_users, of_nodes = _read(RUN_TOTALS, runs), _read(USER_TOTALS, users), _read(NODE_TOTALS, nodes)
    return LedgerTotals(
        window_end,
        RUN_TOTALS.of(of_runs),
        _read_costs(RUN_COSTS, of_runs),
        USER_TOTALS.of(of_users),
        _read_costs(USER_COSTS, of_users),
        NODE_TOTALS.of(of_nodes),
    )


def to_rows(totals: LedgerTotals, since: float) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Write what was touched after `since` (epoch seconds), in the order of keys: runs, users, nodes.

    Each has its key, until, and the text as `totals`.
    """
    return (
        _written(RUN_TOTALS, _with_costs(RUN_TOTALS, totals.runs, totals.run_costs), since),
        _written(USER_TOTALS, _with_costs(USER_TOTALS, totals.users, totals.user_costs), since),
        _written(NODE_TOTALS, totals.nodes, since),
    )


def _objects(kind: Frame) -> dict[str, Mapping[str, str]]:
    """Give the objects of a kind's JSON."""
    return {name: fields for name, fields in _OBJECTS.items() if set(fields.values()) <= kind.schema.keys()}


def _json_schema(kind: Frame) -> dict[str, DataType]:
    """Give the dtypes of the JSON's fields: those of the frame but for its key, objects, and the costs."""
    objects = _objects(kind)
    within = {column for fields in objects.values() for column in fields.values()}
    plain = {name: dtype for name, dtype in kind.schema.items() if name not in (*kind.keys, *within)}
    nested = {name: pl.Struct(dict.fromkeys(fields, _F)) for name, fields in objects.items()}
    return {**plain, **nested, "cost": _COST} if kind is not NODE_TOTALS else {**plain, **nested}


def _written(kind: Frame, totals: pl.DataFrame, since: float) -> pl.DataFrame:
    objects, schema = _objects(kind), _json_schema(kind)
    fields = [
        pl.struct(pl.col(column).alias(key) for key, column in objects[name].items()).alias(name)
        if name in objects
        else pl.col(name)
        for name in schema
    ]
    touched = totals.filter(pl.col("until") > since).sort(kind.keys)
    return touched.select(*kind.keys, "until", totals=pl.struct(fields).struct.json_encode())


def _with_costs(kind: Frame, totals: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    amounts = [name for name in costs.columns if name.endswith(_AMOUNT)]
    long = costs.unpivot(amounts, index=[*kind.keys, "currency"], variable_name="component", value_name="amount")
    component = pl.col("component").str.strip_suffix(_AMOUNT)
    price = pl.concat_list(component, "currency", pl.col("amount").cast(pl.String))
    lists = long.drop_nulls("amount").group_by(kind.keys, maintain_order=True).agg(cost=price)
    return totals.join(lists, on=kind.keys, how="left", validate="1:1").with_columns(
        pl.col("cost").fill_null(pl.lit([], dtype=_COST))
    )


def _read(kind: Frame, rows: Rows) -> pl.DataFrame:
    schema = {**{key: kind.schema[key] for key in kind.keys}, "text": pl.String}
    stored = pl.DataFrame(rows, schema=schema, orient="row")
    decoded = _decode(kind, stored["text"])
    if decoded is None:
        raise ValueError(_culprit(kind, stored))
    objects = _objects(kind)
    columns = [
        pl.col(name).struct.field(key).alias(column)
        for name, fields in objects.items()
        for key, column in fields.items()
    ]
    zeros = [column.name for column in kind.columns if not column.null and column.dtype == _F]
    return (
        stored.drop("text")
        .hstack(decoded.with_columns(columns))
        .with_columns(pl.col(zeros).fill_null(0.0), *_default_meter(kind))
    )


def _default_meter(kind: Frame) -> list[pl.Expr]:
    return [pl.col("meter").fill_null(pl.lit(METERS[-1], dtype=METER))] if "meter" in kind.schema else []


def _decode(kind: Frame, texts: pl.Series) -> pl.DataFrame | None:
    """Decode JSON objects; None where one is not such, or lacks a time.

    polars reads texts as lines: one that is empty or has several would shift all that follow.
    """
    schema = _json_schema(kind)
    if not texts.str.starts_with("{").all():
        return None
    try:
        decoded = texts.str.json_decode(pl.Struct(schema)).struct.unnest()
    except pl.exceptions.ComputeError:
        return None
    times = [name for name in ("since", "until") if name in schema]
    is_sound = len(decoded) == len(texts) and not any(decoded[time].null_count() for time in times)
    return decoded if is_sound and ("cost" not in schema or _are_prices(decoded["cost"])) else None


def _are_prices(costs: pl.Series) -> bool:
    """Tell whether all are lists of component, currency and amount."""
    prices = costs.explode().drop_nulls().list.drop_nulls()
    amounts = prices.list.get(2, null_on_oob=True).cast(_F, strict=False)
    return bool((prices.list.len() == 3).all()) and not amounts.null_count()


def _culprit(kind: Frame, stored: pl.DataFrame) -> str:
    """Say which row cannot be read."""
    for row in stored.iter_slices(1):
        if _decode(kind, row["text"]) is None:
            key = row.select(kind.keys).row(0)
            of_whom = f"{kind.name.removesuffix('_totals')} {key[0] if len(key) == 1 else key}"
            return f"{of_whom}: its totals cannot be read: they are no JSON object with the right fields"
    raise AssertionError("each row can be read and all together cannot")


def _read_costs(kind: Frame, totals: pl.DataFrame) -> pl.DataFrame:
    keys = [name for name in kind.keys if name != "currency"]
    price = pl.col("cost").list
    costs = (
        totals.select(*keys, "cost")
        .filter(price.len() > 0)
        .explode("cost")
        .select(*keys, currency=price.get(1), component=price.get(0), cost=price.get(2).cast(_F))
    )
    names = [name for name in kind.schema if name.endswith(_AMOUNT)]
    amounts = {name: pl.col("cost").filter(component=name.removesuffix(_AMOUNT)).first() for name in names}
    return kind.of(costs.group_by(kind.keys).agg(**amounts))
