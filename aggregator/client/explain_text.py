"""The explanation of a job for people: the verdict, its rules as a table, its values with what they are made of."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from aggregator.client.printable import printable
from aggregator.model.moment import rfc3339

_HOLDS: Final = {True: "holds", False: "does not", None: "not known"}
_NO_MORE: Final = "-"
_RULES: Final = ("RULE", "LEVEL", "CONDITION", "VALUE", "COVERAGE", "")
Json = dict[str, Any]


def explanation_text(data: Json) -> str:
    """Write an answer of the API as text; names that others have chosen cannot command the terminal."""
    lines = (data["verdict"], "", *_rules(data), "", *_values(data["values"]), "", *_queries(data))
    return "\n".join(printable(line).rstrip() for line in lines)


def _rules(data: Json) -> Iterator[str]:
    has_gpus = any(each["name"] == "granted_gpus" and each["value"] != 0 for each in data["values"])
    rows = [row for rule in data["rules"] for row in _rule(rule, has_gpus)]
    return _table([_RULES, *rows]) if rows else iter(["No rule of waste is in force."])


def _rule(rule: Json, has_gpus: bool) -> Iterator[tuple[str, ...]]:
    yield rule["rule"], rule["result"]
    if rule["resource"] == "gpu" and not has_gpus:
        return
    for level, conditions in (
        ("always", rule["conditions"]),
        *((one["severity"], one["conditions"]) for one in rule["levels"]),
    ):
        for each in conditions:
            compared = f"{each['field']} {each['operator']} {_number(each['threshold'])}"
            coverage = _NO_MORE if each["coverage"] is None else f"{each['coverage']:.2f} of {each['least_coverage']:g}"
            because = f": {each['because']}" if each["because"] else ""
            yield "", level, compared, _amount(each["value"], each["unit"]), coverage, _HOLDS[each["holds"]] + because


def _values(values: Sequence[Json]) -> Iterator[str]:
    """Write the values that are known, those of the same inputs together, and then the names of the others."""
    known: dict[tuple[str, ...], list[Json]] = {}
    for each in values:
        if each["value"] not in (None, [], ""):
            known.setdefault(tuple(each["inputs"]), []).append(each)
    for inputs, alike in known.items():
        yield f"from {', '.join(inputs) or 'a part of another package'}:"
        rows = [("  " + each["name"], _amount(each["value"], each["unit"]), _coverage(each), "") for each in alike]
        for line, each in zip(_table(rows), alike, strict=True):
            yield line
            yield from _made(each)
    unknown = [f"{each['name']} ({each['null']})" for each in values if each["value"] is None]
    yield f"null: {', '.join(unknown) or 'nothing'}"


def _coverage(value: Json) -> str:
    return "" if value["coverage"] is None else f"coverage {value['coverage']:.2f}"


def _made(value: Json) -> Iterator[str]:
    if value["promql"]:
        yield f"      {value['promql']}"
    elif value["formula"] and value["inputs"] != ["slurmacct"]:
        yield f"      = {value['formula']}"


def _queries(data: Json) -> Iterator[str]:
    """Write what was asked for the values that are known, and name the inputs that were not read."""
    used = {name for each in data["values"] if each["value"] is not None for name in each["inputs"]}
    written = " ".join(each["promql"] or "" for each in data["values"])
    for each in data["queries"]:
        if each["query"] is None or each["input"] not in used:
            continue
        recorded = ", a recorded series" if each["recorded"] else ""
        age = "" if each["age_seconds"] is None else f" ({each['age_seconds']:.0f} s before)"
        when = each["because"] or f"as of {each['evaluated_time']}{age}"
        yield f"{each['input']}: {each['source']}{_whose(each)}{recorded}, {when}"
        yield f"      {each['query']}"
        if each["job_query"] and each["job_query"] not in written:
            yield f"      {each['job_query']}"
    unread = [each["input"] for each in data["queries"] if each["query"] is None]
    if unread:
        yield f"not read, for the source is not configured or does not answer: {', '.join(unread)}"


def _whose(query: Json) -> str:
    """Say whose series were read, of which kind their values are, and of which nodes they are used."""
    exporter, meaning, nodes = query.get("exporter"), query.get("meaning"), query.get("nodes")
    if not exporter:
        return ""
    used = "" if nodes is None else f", used of {', '.join(nodes) or 'no node'}"
    return f" ({exporter}{used}{f': {meaning}' if meaning else ''})"


def _amount(value: Any, unit: str | None) -> str:
    if unit == "timestamp seconds":
        return rfc3339(value) or _number(value)
    return f"{_number(value)} {unit}" if unit and value is not None else _number(value)


def _number(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_number, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: _NO_MORE}[value]
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.10g}"
    return str(value)


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows in columns; the last cell of a row may be as long as it likes."""
    width = max(map(len, rows), default=0)
    widths = [max((len(row[place]) for row in rows if place < len(row) - 1), default=0) for place in range(width)]
    for row in rows:
        cells = (cell.ljust(wide) for cell, wide in zip(row, widths, strict=False))
        yield "  ".join(cells).rstrip()
