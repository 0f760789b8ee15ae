"""Whether an answer is what `/openapi.json` says of its path: no field more, no required one less, of these types."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TYPES: Mapping[str, Any] = {
    "string": str, "boolean": bool, "object": dict, "array": list, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip


class Declared:
    """The document of a service."""

    def __init__(self, document: Any) -> None:
        self._paths, self._schemas = document["paths"], document["components"]["schemas"]

    def problems(self, pattern: str, body: Any) -> list[str]:
        """Say where the JSON of a GET differs from what is declared."""
        content = self._paths[pattern]["get"]["responses"]["200"]["content"]
        return list(self._differ(body, content["application/json"]["schema"], "answer"))

    def _differ(self, value: Any, schema: Any, at: str) -> Iterator[str]:
        if "anyOf" in schema:
            yield from min((list(self._differ(value, one, at)) for one in schema["anyOf"]), key=len)
            return
        parts = list(self._parts(schema))
        if parts == [schema]:
            yield from self._of_type(value, schema, at)
        if isinstance(value, dict):
            yield from self._of_object(value, parts, at)
        items = [part["items"] for part in parts if isinstance(part.get("items"), dict)]
        if isinstance(value, list) and items:
            for number, item in enumerate(value):
                yield from self._differ(item, items[0], f"{at}[{number}]")

    def _of_object(self, value: Any, parts: Sequence[Any], at: str) -> Iterator[str]:
        properties = {name: of for part in parts for name, of in part.get("properties", {}).items()}
        if not properties:
            return
        yield from (f"{at}.{name}: not declared" for name in value.keys() - properties.keys())
        required = {name for part in parts for name in part.get("required", ())}
        yield from (f"{at}.{name}: missing" for name in required - value.keys())
        for name in value.keys() & properties.keys():
            yield from self._differ(value[name], properties[name], f"{at}.{name}")

    def _parts(self, schema: Any) -> Iterator[Any]:
        """Give what a schema is made of."""
        if "$ref" in schema:
            yield from self._parts(self._schemas[schema["$ref"].rpartition("/")[2]])
        elif "allOf" in schema:
            for part in schema["allOf"]:
                yield from self._parts(part)
        else:
            yield schema

    def _of_type(self, value: Any, schema: Any, at: str) -> Iterator[str]:
        if "const" in schema and value != schema["const"]:
            yield f"{at}: {value!r}, not {schema['const']!r}"
        wanted = schema.get("type", [])
        names = [wanted] if isinstance(wanted, str) else wanted
        is_number_of_bool = isinstance(value, bool) and "boolean" not in names
        if names and (is_number_of_bool or not isinstance(value, tuple(map(_TYPES.__getitem__, names)))):
            yield f"{at}: {value!r} is no {wanted}"
