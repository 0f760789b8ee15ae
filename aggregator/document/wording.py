"""Say pydantic's errors in the words of the configuration file."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import UnionType
from typing import Any, Final, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aggregator.document.mistake import KeyPath, format_key
from aggregator.document.reading import Document, Origin, quote
from aggregator.document.section import Section

_MAPPING: Final = "a mapping"
_LIST: Final = "a list"

WANTED: Final[Mapping[str, str]] = {
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": "a string",
    "string_too_short": "a non-empty string",
    "bool_type": "true or false",
}


def explain(error: ValidationError, document: Document, root: Any) -> Iterator[tuple[KeyPath, str]]:
    """Give the path and the message of each error in a document; its schema is `root`, a section or a list of them."""
    for details in error.errors(include_url=False, include_input=False):
        path = details["loc"]
        if path[-1:] == ("[key]",) and path not in document.origins:
            path = path[:-1]
            # Not the key's value, which may be a secret.
            origin = replace(document.origin(path), quote=quote(str(path[-1])))
            yield path, _message(details, path, origin, root)
        else:
            yield path, _message(details, path, document.origin(path), root)


def _message(details: ErrorDetails, path: KeyPath, origin: Origin, root: Any) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "required"
        case "extra_forbidden":
            return _unknown_key(path, root)
        case "refused":
            return str(context["message"])
        case "must_be":
            return _must_be(context["wanted"], origin, context["hint"])
        case "literal_error":
            return _must_be(str(context["expected"]).replace("'", ""), origin)
        case other:
            return _must_be(WANTED.get(other, "another value"), origin)


def _must_be(wanted: str, origin: Origin, hint: str = "") -> str:
    # A string in the place of a section may well be a connection string with its password.
    got = origin.kind if wanted in (_MAPPING, _LIST) else origin.quote
    return f"must be {wanted}, got {got}" + (f" ({hint})" if hint else "")


def _unknown_key(path: KeyPath, root: Any) -> str:
    section = _section_at(path[:-1], root)
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    if close:
        return f'{section.unknown} (did you mean "{close[0]}"?)'
    return f"{section.unknown} (known: {', '.join(map(format_key, sorted(known))) or 'none'})"


def _section_at(path: KeyPath, root: Any) -> type[Section]:
    kind: Any = root
    for part in path:
        is_section = isinstance(kind, type) and issubclass(kind, Section)
        # Of dict[key, X] the last, of tuple[X, ...] the first.
        kind = kind.model_fields[str(part)].annotation if is_section else get_args(kind)[isinstance(part, str)]
        if get_origin(kind) is UnionType:
            kind = get_args(kind)[0]
    section: type[Section] = kind
    return section
