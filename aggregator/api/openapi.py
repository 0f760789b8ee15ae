"""The API as OpenAPI 3.1: of the declarations by which requests are read and answers are written."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
import polars as pl

from aggregator.api.lists import FORMATS, ListRoute
from aggregator.api.route import Parameter, Route
from aggregator.engine.column import Column
from aggregator.engine.listed import COVERAGE, GATHERED, TIME, Listed
from aggregator.engine.query import DEFAULT_LIMIT, MAX_LIMIT

Json = dict[str, Any]
_REF: Final = "#/components/schemas/{}"
_KINDS: Final[Mapping[str, Json]] = {
    "text": {"type": "string"},
    "time": {"type": "string", "examples": ["1700000000", "2023-11-14T22:13:20Z", "now-7d"]},
    "duration": {"type": "string", "examples": ["30s", "300"]},
    "count": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
}
_ERRORS: Final = {
    "400": "a parameter is wrong", "401": "no identity", "403": "no right", "404": "no such thing, or not yours",
    "429": "too many requests", "503": "a source does not answer", "504": "too slow",
}  # fmt: skip
_NULLABLE: Final = "null"


def document(
    routes: Iterable[Route],
    lists: Iterable[ListRoute[Any]],
    beside_rows: Iterable[type],
    version: str,
    examples: Mapping[str, Any] = MappingProxyType({}),
) -> Json:
    """Describe all routes; lists are those with the grammar of lists.

    beside_rows are the types that answers have beside the fields of lists' rows, examples answers of GETs by path.
    """
    routes, lists = list(routes), list(lists)
    types = [*beside_rows, *(each for route in routes for each in route.answer)]
    _, named = msgspec.json.schema_components(types, ref_template=_REF.format("{name}"))
    named = {_short(name): _shortened(schema) for name, schema in named.items()}
    listed = {route.path: route.listed for route in routes if route.listed} | {each.path: each.listed for each in lists}
    more = {route.path: _own(route) for route in routes if route.listed}
    paths: dict[str, Json] = {
        path: {"get": _list_operation(path, each, more.get(path, ()))} for path, each in listed.items()
    }
    for route in routes:
        of_route = paths.setdefault(route.path, {}).setdefault(route.method.lower(), {})
        if route.listed:
            of_route["summary"] = route.summary
            of_route["parameters"] += map(_parameter, route.parameters)
        else:
            of_route |= _operation(route)
    for path, example in examples.items():
        paths[path]["get"]["responses"]["200"]["content"]["application/json"]["example"] = example
    return {
        "openapi": "3.1.0",
        "info": {"title": "hpc-aggregator", "version": version},
        "security": [{}, {"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**named, **{_row_name(path): _row(each) for path, each in listed.items()}, "Error": _ERROR},
            "responses": {status: _error(text) for status, text in _ERRORS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_ERROR: Final[Json] = {
    "type": "object", "required": ["status", "errorType", "error"],
    "properties": {"status": {"const": "error"}, "errorType": {"type": "string"}, "error": {"type": "string"}},
}  # fmt: skip


def _error(text: str) -> Json:
    return {"description": text, "content": {"application/json": {"schema": {"$ref": _REF.format("Error")}}}}


def _short(name: str) -> str:
    """Give the name of a type as a component: classes say that they are what is shown of a thing."""
    return name.removesuffix("Shown")


def _shortened(schema: Any) -> Any:
    """Give a schema whose references and title are such names."""
    if isinstance(schema, dict):
        return {key: _short(of) if key in ("$ref", "title") else _shortened(of) for key, of in schema.items()}
    return list(map(_shortened, schema)) if isinstance(schema, list | tuple) else schema


def _row_name(path: str) -> str:
    """Name the row of a list by its path: `cluster_jobs`, `storage_groups`, `cloud_projects`."""
    scope, *_, name = path.removeprefix("/api/v1/").split("/")
    return f"{scope.removesuffix('s')}_{name}"


def _operation(route: Route) -> Json:
    found: Json = {
        "summary": route.summary,
        **({"description": route.description} if route.description else {}),
        "parameters": [*_of_path(route.path), *map(_parameter, route.parameters)],
        "responses": {"200": {"description": "OK", **_content(route)}, **_failures()},
    }
    return found


def _content(route: Route) -> Json:
    own = _own(route)
    if route.row:
        row = {"$ref": _REF.format(_row_name(route.row))}
        return _enveloped({"allOf": [row, *own]} if own else row)
    if not own:
        return {"content": {"text/plain": {"schema": {"type": "string"}}}}
    return _enveloped(own[0] if len(own) == 1 else {"anyOf": own})


def _own(route: Route) -> list[Json]:
    """Refer to the types of an answer."""
    return [{"$ref": _REF.format(_short(each.__name__))} for each in route.answer]


def _enveloped(data: Json) -> Json:
    properties = {"status": {"const": "success"}, "data": data,
                  "warnings": {"type": "array", "items": {"type": "string"}}}  # fmt: skip
    schema = {"type": "object", "required": ["status", "data"], "properties": properties}
    return {"content": {"application/json": {"schema": schema}}}


def _failures() -> Json:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in _ERRORS}


def _of_path(path: str) -> Iterator[Json]:
    for name in re.findall(r"\{(\w+)", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _parameter(each: Parameter) -> Json:
    schema = {**_KINDS[each.kind], **({"enum": list(each.choices)} if each.choices else {})}
    if each.repeatable:
        schema = {"type": "array", "items": schema}
    return {"name": each.name, "in": "query", "description": each.help, "required": each.required, "schema": schema}


def _list_operation(path: str, listed: Listed, more: Sequence[Json]) -> Json:
    row = {"$ref": _REF.format(_row_name(path))}
    page = {
        "type": "object",
        "properties": {
            listed.name: {"type": "array", "items": row},
            "next_cursor": {"type": ["string", _NULLABLE]},
            "total": {"type": ["integer", _NULLABLE]},
        },
    }
    answer = _enveloped({"allOf": [page, *more]} if more else page)
    answer["content"]["text/csv"] = {"schema": {"type": "string"}}
    return {
        "summary": f"Answer with the {listed.name}, page by page.",
        "parameters": [*_of_path(path), *map(_parameter, _words(listed)), *_filters(listed)],
        "responses": {"200": {"description": "OK", **answer}, **_failures()},
    }


def _words(listed: Listed) -> Iterator[Parameter]:
    first = listed.order[0]
    yield Parameter(name="sort", help=f"Fields, `-` before one for descending; default {first}.", repeatable=True)
    yield Parameter(name="fields", help="Which fields, in this order.", repeatable=True)
    yield Parameter(name="group_by", help="Fields by which amounts are added up.", repeatable=True)
    yield Parameter(name="limit", help="Rows of a page.", kind="count")
    yield Parameter(name="cursor", help="The next_cursor of the page before.")
    yield Parameter(name="format", help="The whole list as CSV.", choices=FORMATS)


def _filters(listed: Listed) -> Iterator[Json]:
    """Give the filters: any of some values of each field, and bounds of numbers."""
    for name in dict.fromkeys((*listed.conditions, *listed.columns)):
        column = listed.columns.get(name)
        help = column.help if column else f"Only rows of this {name}."
        schema = _of_type(column.dtype) if column and not isinstance(column.dtype, pl.List) else {"type": "string"}
        yield _query(name, help, {"type": "array", "items": schema})
        if column and listed.table.schema[name].is_numeric():
            yield _query(f"min_{name}", f"At least. {help}", {"type": "number"})
            yield _query(f"max_{name}", f"At most. {help}", {"type": "number"})


def _query(name: str, help: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": help, "schema": schema}


def _row(listed: Listed) -> Json:
    """Describe a row of a list."""
    columns = listed.columns
    found = {each.name: {**_nullable(each.dtype), "description": each.help} for each in listed.derived}
    found |= {name: _field(column) for name, column in columns.items() if not name.endswith(COVERAGE)}
    for name in columns:
        if name.endswith(TIME):
            found[name.removesuffix(TIME) + "_time"] = {"type": ["string", _NULLABLE], "format": "date-time"}
    covered = {
        name.removesuffix(COVERAGE): _field(column) for name, column in columns.items() if name.endswith(COVERAGE)
    }
    if covered:
        found[GATHERED] = {"type": "object", "properties": covered}
    for each in listed.nested:
        own = {column.name: column for column in each.table.columns}
        rows = _object({name: _field(own[name]) for name in each.columns})
        found[each.name] = {"type": "array", "items": rows, "description": each.help}
    return _object({name: found[name] for name in listed.fields if name in found})


def _object(properties: Mapping[str, Json]) -> Json:
    return {"type": "object", "properties": dict(properties)}


def _field(column: Column) -> Json:
    """Describe a field; null means what its column says."""
    return {**_nullable(column.dtype), "description": f"{column.help} null: {column.null}."}


def _nullable(dtype: Any) -> Json:
    found = _of_type(dtype)
    return {**found, "type": [found["type"], _NULLABLE]}


_TYPES: Final[Sequence[tuple[Any, str]]] = ((pl.Boolean, "boolean"), (pl.String, "string"), (pl.Enum, "string"),
                                           (pl.Categorical, "string"), (pl.UInt64, "string"))  # fmt: skip


def _of_type(dtype: Any) -> Json:
    """Describe what a column's type is in JSON: numbers of 64 bits without a sign are text."""
    if isinstance(dtype, pl.List):
        return {"type": "array", "items": _of_type(dtype.inner)}
    if isinstance(dtype, pl.Struct):
        return _object({each.name: _nullable(each.dtype) for each in dtype.fields})
    for known, word in _TYPES:
        if dtype == known:
            return {"type": word}
    return {"type": "integer" if dtype.is_integer() else "number"}
