"""Families as Markdown: those of docs/metrics.md, and what the parts of other packages say of themselves."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from aggregator.api.cluster_lists import LISTS_PATH
from aggregator.app.layouts import CLUSTERS
from aggregator.config import InstalledPart
from aggregator.engine.column import Column, Listing, Table
from aggregator.engine.part import Part

_NONE = "No part of another package is installed.\n"


def families_table(families: Iterable[Listing]) -> Iterator[str]:
    """Write a table of families."""
    yield "| family | type | labels | meaning | series | source | stability |\n|---|---|---|---|---|---|---|"
    for family in families:
        yield (
            f"| `{family.name}` | {family.type} | {', '.join(family.labels)} | {family.help} | {family.cost} "
            f"| {family.source} | {family.stability} |"
        )


def parts_page(installed: Sequence[InstalledPart]) -> str:
    """Say what each installed part is: its package, the keys of its section, its families, and the lists of the API."""
    return "\n".join(line for each in installed for line in _of_part(each)) if installed else _NONE


def _of_part(installed: InstalledPart) -> Iterator[str]:
    part: Part = installed.gives.part
    yield f"# {installed.name} ({installed.package})\n"
    yield f"{(installed.section.__doc__ or '').strip()}\n"
    yield f"Section `clusters.<name>.parts.{installed.name}`: {_keys(installed)}\n"
    yield from families_table(_listings(part))
    for table in part.tables:
        yield from _list_of(table)
    yield ""


def _keys(installed: InstalledPart) -> str:
    """Name the keys of the section; those that must be given are marked."""
    fields = installed.section.model_fields.items()
    return ", ".join(f"`{name}`" + " (required)" * field.is_required() for name, field in fields) or "no keys"


def _listings(part: Part) -> Iterator[Listing]:
    for table in part.tables:
        yield from table.listings(CLUSTERS.kind)
    for name, columns in part.columns.items():
        # Tables of its own have their families already.
        if name in CLUSTERS.tables:
            before, after = (table.listings(CLUSTERS.kind) for table in _grown(CLUSTERS.tables[name], columns))
            yield from after[len(before) :]


def _grown(table: Table, columns: tuple[Column, ...]) -> tuple[Table, Table]:
    """Give a table without and with more columns."""
    return table, replace(table, columns=(*table.columns, *columns))


def _list_of(table: Table) -> Iterator[str]:
    yield f"\n`GET {LISTS_PATH}{table.name}`: {table.of}, a row each. Every field can be a filter and sorted by.\n"
    yield "| field | type | meaning | null |\n|---|---|---|---|"
    for column in table.columns:
        yield f"| `{column.name}` | {column.dtype} | {column.help} | {column.null} |"
