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
_NUMBER: Final = r"[0-9]+(\.[0-9]+)?"
_LENGTH: Final = "([0-9]+(ms|[smhdwy]))+"
_DAY: Final = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_RFC3339: Final = rf"{_DAY}T{_CLOCK}:[0-5][0-9](\.[0-9]+)?(Z|[+-]{_CLOCK})"
_TIME: Final = f"^({_NUMBER}|now(-{_LENGTH})?|{_RFC3339})$"
_DURATION: Final = f"^({_NUMBER}|{_LENGTH})$"
_JOB_ID: Final = "[0-9]{1,9}([_+][0-9]{1,5})?"
# Of a path's parameters, and of filters that are no columns.
_PATTERNS: Final = {"job_id": f"^{_JOB_ID}$", "id": f"^({_JOB_ID}|[0-9]{{1,9}}-[0-9]{{1,9}})$"}
_KEPT_ID: Final = "^[1-9][0-9]{0,8}$"
_KINDS: Final[Mapping[str, Json]] = {
    "text": {"type": "string"},
    "time": {
        "type": "string",
        "pattern": _TIME,
        "examples": ["1700000000", "2023-11-14T22:13:20Z", "now-7d"],
    },
    "duration": {"type": "string", "pattern": _DURATION, "examples": ["30s", "300"]},
    "count": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
}
_ERRORS: Final = {
    "400": "a parameter is wrong", "401": "no identity", "403": "no right", "404": "no such thing, or not yours",
    "421": "a name that is not one of this service", "422": "understood, and cannot be computed",
    "429": "too many requests", "503": "a source does not answer", "504": "too slow",
}  # fmt: skip
_OF_BODIES: Final = {
    "408": "the body did not come in time", "413": "the body is too large", "415": "the body is of another kind",
}  # fmt: skip
_NULLABLE: Final = "null"
# Tells the filters of a list, one or three for each field, from its other parameters.
FILTER: Final = "x-filter"
_JSON: Final = "application/json"


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
    bodies = [route.body for route in routes if route.body not in (None, bytes)]
    types = [*beside_rows, *bodies, *(each for route in routes for each in route.answer)]
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
        paths[path]["get"]["responses"]["200"]["content"][_JSON]["example"] = example
    return {
        "openapi": "3.1.0",
        "info": {"title": "hpc-aggregator", "version": version},
        "security": [{}, {"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**named, **{_row_name(path): _row(each) for path, each in listed.items()}, "Error": _ERROR},
            "responses": {status: _error(status, text) for status, text in (_ERRORS | _OF_BODIES).items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_ERROR: Final[Json] = {
    "type": "object", "required": ["status", "errorType", "error"],
    "properties": {"status": {"const": "error"}, "errorType": {"type": "string"}, "error": {"type": "string"}},
}  # fmt: skip


def _error(status: str, text: str) -> Json:
    """Describe an error; what is no HTTP, or too long to be read, is answered in plain text."""
    found = {_JSON: {"schema": {"$ref": _REF.format("Error")}}}
    return {"description": text, "content": {**found, **({"text/plain": {}} if status == "400" else {})}}


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
        **({"requestBody": _body(route.body)} if route.body else {}),
        "parameters": [*_of_path(route.path), *map(_parameter, route.parameters)],
        "responses": {**_successes(route), **_failures(route.path, route.body is not None)},
    }
    return found


def _successes(route: Route) -> Json:
    done = {"description": "OK", **_content(route)}
    return {"200": done, "201": {**done, "description": "new"}} if route.method == "PUT" else {"200": done}


def _body(of: type) -> Json:
    """Describe what a request brings."""
    if of is bytes:
        content = {"application/octet-stream": {"schema": {"type": "string", "minLength": 1}}}
    else:
        content = {_JSON: {"schema": {"$ref": _REF.format(_short(of.__name__))}}}
    return {"required": True, "content": content}


def _content(route: Route) -> Json:
    own = _own(route)
    if route.row:
        row = {"$ref": _REF.format(_row_name(route.row))}
        return _enveloped({"allOf": [row, *own]} if own else row)
    if not own:
        return {"content": {route.media: {"schema": {} if route.media == _JSON else {"type": "string"}}}}
    return _enveloped(own[0] if len(own) == 1 else {"anyOf": own})


def _own(route: Route) -> list[Json]:
    """Refer to the types of an answer."""
    return [{"$ref": _REF.format(_short(each.__name__))} for each in route.answer]


def _enveloped(data: Json) -> Json:
    properties = {"status": {"const": "success"}, "data": data,
                  "warnings": {"type": "array", "items": {"type": "string"}}}  # fmt: skip
    schema = {"type": "object", "required": ["status", "data"], "properties": properties}
    return {"content": {_JSON: {"schema": schema}}}


def _failures(path: str, has_body: bool = False) -> Json:
    """Refer to what an answer may be instead: of paths that are no part of the API it is a text."""
    found = _ERRORS | (_OF_BODIES if has_body else {})
    if path.startswith("/api/"):
        return {status: {"$ref": f"#/components/responses/{status}"} for status in found}
    return {status: {"description": text, "content": {"text/plain": {}}} for status, text in found.items()}


def _of_path(path: str) -> Iterator[Json]:
    kept = path.endswith("/jobscripts/{job_id}")
    for name in re.findall(r"\{(\w+)", path):
        schema = {"type": "string", "pattern": _KEPT_ID} if kept and name == "job_id" else _text(name)
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(each: Parameter) -> Json:
    schema = {**_KINDS[each.kind], **({"enum": list(each.choices)} if each.choices else {})}
    if each.repeatable:
        # A comma is between two of them.
        schema |= {} if each.choices else {"pattern": "^[^,]+$"}
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
        "responses": {"200": {"description": "OK", **answer}, **_failures(path)},
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
    for name in dict.fromkeys((*listed.conditions, *listed.compared)):
        column = listed.columns.get(name)
        help = column.help if column else f"Only rows of this {name}."
        schema = _of_type(column.dtype) if column and not isinstance(column.dtype, pl.List) else _text(name)
        yield _query(name, help, {"type": "array", "items": schema})
        if column and listed.table.schema[name].is_numeric():
            yield _query(f"min_{name}", f"At least. {help}", {"type": "number"})
            yield _query(f"max_{name}", f"At most. {help}", {"type": "number"})


def _text(name: str) -> Json:
    return {"type": "string", **({"pattern": _PATTERNS[name]} if name in _PATTERNS else {})}


def _query(name: str, help: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": help, "schema": schema, FILTER: True}


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
    rows = {name: found[name] for name in listed.fields if name in found}
    return _object({**rows, **{name: of for name, of in _of_groups(listed).items() if name not in rows}})


def _of_groups(listed: Listed) -> Json:
    """Describe what only groups of rows have: numbers."""
    found = {listed.name: ("integer", "How many rows it has.")}
    found |= {each.name: ("number", each.help) for each in listed.of_groups}
    return {
        name: {"type": [kind, _NULLABLE], "description": f"Of a group: {text}"} for name, (kind, text) in found.items()
    }


def _object(properties: Mapping[str, Json]) -> Json:
    return {"type": "object", "properties": dict(properties)}


def _field(column: Column) -> Json:
    """Describe a field; null means what its column says."""
    return {**_nullable(column.dtype), "description": f"{column.help} null: {column.null}."}


def _nullable(dtype: Any) -> Json:
    found = _of_type(dtype)
    return {**found, "type": [found["type"], _NULLABLE]}


_TYPES: Final[Sequence[tuple[Any, str]]] = ((pl.Boolean, "boolean"), (pl.String, "string"), (pl.Enum, "string"),
                                           (pl.Categorical, "string"))  # fmt: skip


def _of_type(dtype: Any) -> Json:
    """Describe what a column's type is in JSON: numbers of 64 bits without a sign are text."""
    if isinstance(dtype, pl.List):
        return {"type": "array", "items": _of_type(dtype.inner)}
    if isinstance(dtype, pl.Struct):
        return _object({each.name: _nullable(each.dtype) for each in dtype.fields})
    if dtype == pl.UInt64:
        return {"type": "string", "pattern": "^[0-9]+$"}
    for known, word in _TYPES:
        if dtype == known:
            return {"type": word}
    return {"type": "integer" if dtype.is_integer() else "number"}
