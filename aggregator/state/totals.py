"""The ledger's totals as JSON."""

from dataclasses import asdict, fields
from typing import Any, TypeVar

import orjson

from aggregator.model.energy import NodeTotals, RunLedger, Totals

T = TypeVar("T", RunLedger, Totals, NodeTotals)


def to_json(totals: RunLedger | Totals | NodeTotals) -> str:
    """Write totals; cost becomes a list of [component, currency, amount], for JSON's keys are text."""
    values = asdict(totals)
    if "cost" in values:
        values["cost"] = [[*price, amount] for price, amount in values["cost"].items()]
    return orjson.dumps(values).decode()


def from_json(kind: type[T], text: str) -> T:
    """Read totals of any version: fields that are not known are ignored, missing ones have their default.

    Raises ValueError for what is not such JSON.
    """
    stored = orjson.loads(text)
    if not isinstance(stored, dict):
        raise ValueError("the totals are not an object")
    names = {field.name for field in fields(kind)}
    values: dict[str, Any] = {name: value for name, value in stored.items() if name in names}
    try:
        if "cost" in values:
            values["cost"] = {(component, currency): amount for component, currency, amount in values["cost"]}
        return kind(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error
