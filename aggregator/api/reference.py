"""GET /openapi.json and /docs: the API as a document, and as a page of it that loads nothing."""

import base64
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib import resources
from string import Template
from typing import Any, Final

import orjson
from aiohttp import web

from aggregator import executors
from aggregator.api.envelope import JSON
from aggregator.api.keys import SETTINGS
from aggregator.api.lists import CSV, LISTS
from aggregator.api.openapi import FILTER, document

_Json = Mapping[str, Any]
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #e0e3e8; --paper: #fcfcfd; --code: #f1f3f5 }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a0a4ab; --line: #2e3238; --paper: #14161a;
  --code: #1d2025 } }
body { margin: 3rem auto; max-width: 60rem; padding: 0 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem } h1 small, .soft { color: var(--soft); font-size: .875rem; font-weight: 400 }
details { border-top: 1px solid var(--line); padding: .5rem 0 } summary { cursor: pointer }
code, pre { font: .875rem/1.5 ui-monospace, monospace } summary code { font-weight: 600 }
pre { background: var(--code); padding: .75rem; overflow: auto; max-height: 24rem }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid var(--line); padding: .25rem .5rem;
  text-align: left; vertical-align: top } th { color: var(--soft); font-weight: 400 }
td:first-child { white-space: nowrap }
"""
_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hpc-aggregator: the API</title>
<style>$style</style>
<main>
<h1>The API <small>hpc-aggregator $version</small></h1>
<p>Made of the declarations by which requests are read and answers are written; the same for programs:
<a href="openapi.json">openapi.json</a>.</p>
$paths
</main>
</html>
""")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
_REF: Final = "#/components/schemas/"


async def get_openapi(request: web.Request) -> web.Response:
    """Answer with the API as OpenAPI 3.1."""
    made = await executors.run(executors.ANSWERS, _document, request.app)
    response = web.Response(body=orjson.dumps(made), content_type=JSON, headers={"Cache-Control": "no-cache"})
    response.enable_compression()
    return response


async def get_reference(request: web.Request) -> web.Response:
    """Answer with a page of the API for people."""
    made = await executors.run(executors.ANSWERS, _document, request.app)
    text = await executors.run(executors.ANSWERS, _page, made)
    response = web.Response(text=text, content_type="text/html")
    response.headers.update({"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})
    response.enable_compression()
    return response


@functools.lru_cache(maxsize=1)
def _document(app: web.Application) -> _Json:
    # They name the handlers of this module.
    from aggregator.api.routes import BESIDE_ROWS, ROUTES

    examples = orjson.loads(resources.files("aggregator.api").joinpath("examples.json").read_bytes())
    return document(ROUTES, app[LISTS].values(), BESIDE_ROWS, app[SETTINGS].version, examples)


def _page(made: _Json) -> str:
    schemas = made["components"]["schemas"]
    paths = (
        _operation(method, path, operation, schemas)
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
    )
    return _PAGE.substitute(style=_STYLE, version=escape(made["info"]["version"]), paths="\n".join(paths))


def _operation(method: str, path: str, operation: _Json, schemas: _Json) -> str:
    content = operation["responses"]["200"]["content"]
    answer, asked = content.get("application/json", {}), operation.get("requestBody", {}).get("content", {})
    is_list = CSV in content
    data = answer.get("schema", {}).get("properties", {}).get("data", {})
    example = answer.get("example")
    return "".join((
        f"<details><summary><code>{method.upper()} {escape(path)}</code> ",
        f'<span class="soft">{escape(operation["summary"])}</span></summary>',
        _table("Parameter", _parameters(operation["parameters"], is_list=is_list)),
        *(_table("Field of the body", _fields(each["schema"], schemas, with_rows=False)) for each in asked.values()),
        _table("Field of data", _fields(data, schemas, with_rows=is_list)),
        f"<pre>{escape(orjson.dumps(example, option=orjson.OPT_INDENT_2).decode())}</pre>" if example else "",
        "</details>",
    ))  # fmt: skip


def _table(title: str, rows: Iterator[tuple[str, str]]) -> str:
    body = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f'<table><tr><th scope="col">{title}</th><th></th></tr>{body}</table>' if body else ""


def _parameters(parameters: Iterable[_Json], *, is_list: bool) -> Iterator[tuple[str, str]]:
    """List parameters; the filters of a list, one for each field, in one line."""
    for each in parameters:
        if each["in"] == "query" and FILTER not in each:
            yield each["name"], each.get("description", "")
    if is_list:
        yield "FIELD, min_FIELD, max_FIELD", "Rows with any of these values of a field, repeated or by commas; bounds."


def _fields(schema: _Json, schemas: _Json, within: str = "", *, with_rows: bool) -> Iterator[tuple[str, str]]:
    """List the fields of a schema with those below, by their path; the rows of another list by its name."""
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        yield from _fields(part, schemas, within, with_rows=with_rows)
    name = schema.get("$ref", "").removeprefix(_REF)
    if name and not with_rows and name.islower():
        yield within or "…", f"the fields of {name}"
    elif name:
        yield from _fields(schemas[name], schemas, within, with_rows=with_rows)
    if isinstance(items := schema.get("items"), dict):
        yield from _fields(items, schemas, f"{within}[]", with_rows=with_rows)
    for field, of_field in schema.get("properties", {}).items():
        path = f"{within}.{field}" if within else field
        yield path, _meaning(of_field, schemas)
        yield from _fields(of_field, schemas, path, with_rows=with_rows)


def _meaning(schema: _Json, schemas: _Json) -> str:
    """Say what a field is, or what those in it are, else its type."""
    if "description" in schema:
        return str(schema["description"])
    kind = schema.get("type", "")
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if isinstance(schema.get("items"), dict) else [])]
    if name := schema.get("$ref", "").removeprefix(_REF):
        inner.append(schemas[name])
    said = list(filter(None, (_meaning(each, schemas) for each in inner)))
    return " or ".join(said) if said else " or ".join([kind] if isinstance(kind, str) else kind)
