"""Read YAML into plain data that remembers the line of every key."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

from aggregator.document.mistake import ConfigError, KeyPath, Mistake, format_path

MAX_DEPTH = 50
MAX_NODES = 200_000
# What an alias repeats is dearer than what is written: a few lines of aliases can stand for millions of nodes.
ALIAS_NODES = 20
QUOTE_LENGTH = 80

# Neither a brace nor a dollar in a name: a search for the end of each of many openings would be quadratic.
_VARIABLE = re.compile(r"\$\{([^${}]*)\}")
_SCHEME = re.compile(r"\w{1,20}://")
_TAG = "tag:yaml.org,2002:"
_CONSTRUCTOR = SafeConstructor()

# Dates, "=" and "<<" have a meaning in YAML 1.1 that no key of ours wants: they stay text.
_TEXT_TAGS = frozenset(_TAG + name for name in ("str", "timestamp", "value", "merge"))
_SCALARS: Mapping[str, Callable[[Any], object]] = {
    _TAG + "int": _CONSTRUCTOR.construct_yaml_int,
    _TAG + "float": _CONSTRUCTOR.construct_yaml_float,
    _TAG + "bool": _CONSTRUCTOR.construct_yaml_bool,
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Say where a value was written, and how a message may quote it."""

    line: int
    quote: str
    kind: str


@dataclass(slots=True)
class Document:
    """Hold a file's plain data, where each value was written, and the mistakes of its YAML.

    A path in `refused` was in the file but has no value in `data`.
    """

    data: object = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    mistakes: list[tuple[KeyPath, int, str]] = field(default_factory=list)
    refused: set[KeyPath] = field(default_factory=set)

    def origin(self, path: KeyPath) -> Origin:
        """Give the origin of a path, or of its nearest ancestor when it is not in the file."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, Origin(1, "nothing", "nothing"))

    def locate(self, found: Iterable[tuple[KeyPath, str]], filename: str) -> list[Mistake]:
        """Give the mistakes of the YAML and those that were found in it, in the order of their lines."""
        every = [*self.mistakes, *((path, self.origin(path).line, message) for path, message in found)]
        every.sort(key=lambda mistake: (mistake[1], format_path(mistake[0])))
        return [Mistake(filename, line, format_path(path), message) for path, line, message in every]

    def section(self, *path: str) -> Mapping[str, object]:
        """Give the mapping at a path, empty when there is none."""
        value = self.data
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def mappings(self) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
        """Walk over every mapping of the file, outermost first."""
        yield from _mappings(self.data, ())


def read_text(file: str | os.PathLike[str]) -> str:
    """Read a file whole, or raise ConfigError."""
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = f"cannot read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "cannot read: not UTF-8 text"
    raise ConfigError([Mistake(str(file), None, "", problem)])


def read_document(text: str) -> Document:
    """Read one YAML document; what is wrong with it is in the result, nothing is raised."""
    try:
        deep = _line_nested_too_deeply(text)
        if deep is not None:
            return Document(mistakes=[((), deep, "nested too deeply")])
        node = yaml.CSafeLoader(text).get_single_node()
    except (yaml.YAMLError, UnicodeError) as error:
        return Document(mistakes=[((), *_explain(error, text))])
    document = Document()
    if node is not None:
        value = _Builder(document).value(node, (), node.start_mark.line + 1)
        document.data = {} if value is None else value
    return document


def _line_nested_too_deeply(text: str) -> int | None:
    # libyaml's composer recurses in C without a limit: a deep file would crash the process.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH and event.start_mark is not None:
            return event.start_mark.line + 1
    return None


def _explain(error: yaml.YAMLError | UnicodeError, text: str) -> tuple[int, str]:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        message = ", ".join(part for part in (error.context, error.problem) if part)
        return error.problem_mark.line + 1, f"not valid YAML: {message}"
    if isinstance(error, yaml.reader.ReaderError):
        # libyaml counts the position in bytes of UTF-8.
        before = text.encode()[: error.position]
        return before.count(b"\n") + 1, f"not valid YAML: {error.reason}"
    return 1, "not valid YAML: not UTF-8 text"


def _mappings(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, Mapping[str, object]]]:
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from _mappings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _mappings(item, (*path, index))


class _Refused(Exception):
    """Say why a node has no value."""


class _Builder:
    """Turn composed nodes into plain data."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes_left = MAX_NODES
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: KeyPath, line: int) -> object:
        self._nodes_left -= ALIAS_NODES if id(node) in self._seen else 1
        self._seen.add(id(node))
        self._document.origins[path] = Origin(line, *_describe(node))
        try:
            return self._construct(node, path)
        except _Refused as error:
            self._document.mistakes.append((path, line, str(error)))
            self._document.refused.add(path)
            return None

    def _construct(self, node: yaml.Node, path: KeyPath) -> object:
        if self._nodes_left < 0 or len(path) > MAX_DEPTH:
            # Only aliases lead here: one that contains itself, or many that multiply.
            raise _Refused("expands to too much through its aliases")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return self._list(node, path)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        raise _Refused("has a YAML tag, which is not supported")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        mapping: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if self._nodes_left < 0:
                break
            if not isinstance(key_node, yaml.ScalarNode):
                self._document.mistakes.append((path, line, "a key must be a string"))
            elif (key := key_node.value) in lines:
                message = f"duplicate key (first at line {lines[key]})"
                self._document.mistakes.append(((*path, key), line, message))
            else:
                lines[key] = line
                value = self.value(value_node, (*path, key), line)
                if value is not None:
                    mapping[key] = value
        return mapping

    def _list(self, node: yaml.SequenceNode, path: KeyPath) -> list[object]:
        items: list[object] = []
        for index, item in enumerate(node.value):
            if self._nodes_left < 0:
                break
            items.append(self.value(item, (*path, index), item.start_mark.line + 1))
        return items


def _describe(node: yaml.Node) -> tuple[str, str]:
    if isinstance(node, yaml.MappingNode):
        return "a mapping", "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list", "a list"
    if node.tag in _TEXT_TAGS:
        return quote(node.value), "a string"
    return quote(node.value)[1:-1], quote(node.value)[1:-1]


def _scalar(node: yaml.ScalarNode) -> object:
    if node.tag in _TEXT_TAGS:
        return _substitute(node.value)
    if node.tag == _TAG + "null":
        raise _Refused("must have a value, got nothing")
    if node.tag not in _SCALARS:
        raise _Refused("has a YAML tag, which is not supported")
    try:
        return _SCALARS[node.tag](node)
    except (ValueError, LookupError, OverflowError, ConstructorError):
        raise _Refused("is not what its YAML tag says") from None


def _substitute(text: str) -> str:
    unset = [name for name in _VARIABLE.findall(text) if name not in os.environ]
    if unset:
        raise _Refused(f"not set in the environment: {', '.join(map(quote, unset))}")
    return _VARIABLE.sub(lambda match: os.environ[match[1]], text)


def quote(text: str) -> str:
    """Quote a string for a message: on one line, cut, and without a URL's credentials."""
    shown = _without_credentials(text)
    cut = shown if len(shown) <= QUOTE_LENGTH else shown[: QUOTE_LENGTH - 1] + "…"
    return json.dumps(cut, ensure_ascii=False)


def _without_credentials(text: str) -> str:
    """Hide what may be a name and a password: all that has a colon in it before the last at sign."""
    before, at, after = text.rpartition("@")
    scheme = _SCHEME.match(text)
    start = scheme.end() if scheme and ":" in before[scheme.end() :] else 0
    return f"{text[:start]}<secret>@{after}" if at and ":" in before[start:] else text
