"""docs/glossary.md names what there is, and what it calls another word for a thing names nothing in the code."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

from aggregator.app.layouts import CLOUDS, CLUSTERS, FAMILIES, FILESYSTEMS
from aggregator.config import Config, Section
from tests.contract.metrics_page import metrics_page

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text()
WORDS, TWICE = PAGE.split("## Names that two classes have")


def cells(text: str) -> list[list[str]]:
    """Give the cells of each row of the tables in a text."""
    rows = re.findall(r"^\|(?! word | name |---)(.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows]


@cache
def trees() -> dict[str, ast.Module]:
    return {str(path): ast.parse(path.read_text()) for path in (ROOT / "aggregator").rglob("*.py")}


def columns() -> Iterator[str]:
    for layout in (CLUSTERS, FILESYSTEMS, CLOUDS):
        for table in layout.tables.values():
            yield table.name
            yield from (f"{table.name}.{column.name}" for column in table.columns)


def keys(annotation: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Give the keys of a configuration, within a mapping by what the mapping's value is."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        for name, field in annotation.model_fields.items():
            yield ".".join((*path, name))
            yield from keys(field.annotation, (*path, name))
    for argument in get_args(annotation):
        yield from keys(argument, path)


def classes() -> dict[str, list[str]]:
    """Give the files of each public class."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path)
    return found


def exists(name: str) -> bool:
    if name.startswith("hpc_"):
        families = {family.name for family in FAMILIES} | set(re.findall(r"`(hpc_aggregator_\w+)`", metrics_page()))
        return any(family.startswith(name[:-1]) for family in families) if name.endswith("*") else name in families
    if "/" in name:
        return (ROOT / name).is_dir()
    return name in {*columns(), *keys(Config), *classes()}


def identifiers() -> Iterator[str]:
    """Give the names of functions, classes, parameters and fields, and of columns."""
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield node.name
            elif isinstance(node, ast.arg):
                yield node.arg
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
    for name in columns():
        yield name.replace(".", "_")


def words_of(identifier: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def test_each_name_exists() -> None:
    named = [name for _, _, names, *_ in cells(WORDS) for name in re.findall(r"`([^`]+)`", names)]
    assert len(named) > 60
    assert [name for name in named if not exists(name)] == []


def test_each_word_is_there_once() -> None:
    words = [word for row in cells(WORDS) for word in row[0].split(", ")]
    assert len(set(words)) == len(words)


def test_another_word_for_a_thing_names_nothing() -> None:
    others = {word for row in cells(WORDS) for word in row[3].split(", ") if word}
    assert len(others) > 20
    assert sorted({name for name in identifiers() if words_of(name) & others}) == []


def test_two_classes_have_one_name_only_where_the_page_says_why() -> None:
    configuration = str(ROOT / "aggregator" / "config")
    several = {
        name
        for name, paths in classes().items()
        if len([path for path in paths if not path.startswith(configuration)]) > 1
    }
    explained = {name.strip("`") for name, _ in cells(TWICE)}
    assert several - explained == set()
    assert {name for name in explained if len(classes()[name]) < 2} == set()
