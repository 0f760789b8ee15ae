"""docs/api-reference.md, written from the document that the service gives at /openapi.json."""

import re
from collections.abc import Iterator
from typing import Any

from aggregator.api.lists import PARAMETERS
from aggregator.api.openapi import FILTER, document
from aggregator.api.routes import BESIDE_ROWS, ROUTES
from aggregator.app.lists import lists_of

Json = dict[str, Any]
_HEAD = """# Reference of the API

This page is generated from the code (`pytest tests/contract --update-golden` writes it anew; a test compares them).
What all paths have alike is in [api.md](api.md). The service has the same at `/docs`, and for programs at
`/openapi.json`.

A name of a row, such as *cluster_jobs*, stands for the [fields of that list](#rows-of-lists).
"""
_REF = "#/components/schemas/"


def openapi() -> Json:
    """Give the document of the service without parts of other packages."""
    return document(ROUTES, lists_of(), BESIDE_ROWS, "0")


def api_page() -> str:
    """Write the whole page."""
    made = openapi()
    paths = (
        line
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
        for line in _operation(method.upper(), path, operation)
    )
    schemas = made["components"]["schemas"]
    rows = (line for name in sorted(filter(str.islower, schemas)) for line in _row(name, schemas))
    types = (line for name in sorted(name for name in schemas if not name.islower()) for line in _type(name, schemas))
    return "\n".join((_HEAD, "## Paths\n", *paths, "## Rows of lists\n", *rows, "## Types\n", *types)).rstrip() + "\n"


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    content = operation["responses"]["200"]["content"]
    yield f"### `{method} {path}`\n"
    yield f"{operation['summary']}\n"
    if text := operation.get("description"):
        yield f"{text}\n"
    is_list = "text/csv" in content
    asked = [each for each in operation["parameters"] if each["in"] == "query" and FILTER not in each]
    shown = [each for each in asked if not is_list or each["name"] not in PARAMETERS]
    if is_list:
        yield "A [list](api.md#lists)."
    if is_list and shown:
        yield ""
    if shown:
        yield "| parameter | meaning |\n|---|---|"
        for each in shown:
            choices = "".join(f" `{choice}`" for choice in each["schema"].get("enum", ()))
            yield f"| `{each['name']}` | {each['description']}{choices} |"
    for each in operation.get("requestBody", {}).get("content", {}).values():
        yield f"\nBody: {_names(each['schema'])}."
    data = content.get("application/json", {}).get("schema", {}).get("properties", {}).get("data", {})
    if names := _names(data):
        yield f"\nData: {names}.\n"
    yield ""


def _names(schema: Json) -> str:
    """Name the type of a value."""
    if name := schema.get("$ref", "").removeprefix(_REF):
        return f"*{name}*"
    for word, join in (("allOf", " with "), ("anyOf", " or ")):
        if word in schema:
            return join.join(filter(None, map(_names, schema[word])))
    kind = schema.get("type", "")
    if kind == "array" or (isinstance(kind, list) and "array" in kind):
        items = schema.get("items")
        return f"list of {_names(items) or 'objects'}" if isinstance(items, dict) else "list"
    if "properties" in schema:
        return "; ".join(f"`{name}`: {_names(each) or 'object'}" for name, each in schema["properties"].items())
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _row(name: str, schemas: Json) -> Iterator[str]:
    yield f"### {name}\n"
    yield "| field | type | meaning |\n|---|---|---|"
    for field, schema in schemas[name]["properties"].items():
        yield f"| `{field}` | {_type_of(schema)} | {schema.get('description', '')} |"
    yield ""


def _type_of(schema: Json) -> str:
    kind = schema.get("type", "object")
    return re.sub("null", "or null", " ".join(kind) if isinstance(kind, list) else kind)


def _type(name: str, schemas: Json) -> Iterator[str]:
    schema = schemas[name]
    yield f"### {name}\n"
    if text := schema.get("description"):
        yield f"{text}\n"
    yield "| field | type |\n|---|---|"
    for field, each in schema.get("properties", {}).items():
        yield f"| `{field}` | {_names(each)} |"
    yield ""
