"""Tables that fit: a column that there is no room for is left out, and a text that is too long is cut."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aggregator.client.screen import FAINT, HEAD, Screen
from aggregator.client.units import field

Row = Mapping[str, Any]
_GAP: Final = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its fields of the API, how it is written, and when it is left out.

    The columns of the highest rank are left out first, those of rank 0 never. least is the width below which a text is
    not cut. share gives the ratio of a bar that is drawn before the text.
    """

    title: str
    fields: tuple[str, ...]
    write: Callable[[Row], str]
    rank: int = 0
    right: bool = True
    least: int = 0
    style: Callable[[Row], str] = lambda _: ""
    share: Callable[[Row], float | None] | None = None


BAR_CELLS: Final = 8


def plain(name: str, title: str = "", rank: int = 0, *, right: bool = True, least: int = 0) -> Column:
    """Make a column of one field, written as its name says."""
    return Column(title or name.upper(), (name,), lambda row: field(name, row.get(name)), rank, right, least)


def table(screen: Screen, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Draw a table in the width that there is."""
    from rich.cells import cell_len

    texts = [_cells(screen, each, rows) for each in columns]
    full = [max(map(cell_len, (each.title, *cells))) for each, cells in zip(columns, texts, strict=True)]
    widths = _fit(columns, full, screen.width)
    _print(screen, [(columns[number], width, columns[number].title, HEAD) for number, width in widths.items()])
    for place, row in enumerate(rows):
        _print(
            screen,
            [
                (columns[number], width, texts[number][place], columns[number].style(row))
                for number, width in widths.items()
            ],
        )


def _print(screen: Screen, cells: Sequence[tuple[Column, int, str, str]]) -> None:
    """Print a row of texts that are safe, each in its width."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    row = Text()
    for column, width, text, style in cells:
        if cell_len(text) > width:
            text = set_cell_size(text, width - 1) + screen.mark
        space = " " * (width - cell_len(text))
        row.append(f"{space}{text}" if column.right else f"{text}{space}", style)
        row.append(" " * _GAP)
    screen.print_row(row)


def _cells(screen: Screen, column: Column, rows: Sequence[Row]) -> list[str]:
    """Write a column; the texts beside bars are as long as each other, so that the bars begin in one place."""
    texts = [screen.safe(column.write(row)) for row in rows]
    if not column.share:
        return texts
    width = max(map(len, texts), default=0)
    texts = [text.rjust(width) if column.right else text.ljust(width) for text in texts]
    return [f"{screen.bar(column.share(row), BAR_CELLS)} {text}" for row, text in zip(rows, texts, strict=True)]


def _fit(columns: Sequence[Column], full: Sequence[int], width: int) -> dict[int, int]:
    """Give the columns that fit, by number, and how wide each is."""
    chosen = list(range(len(columns)))
    least = [min(each.least or wide, wide) for each, wide in zip(columns, full, strict=True)]
    while sum(least[each] + _GAP for each in chosen) - _GAP > width:
        last = max(chosen, key=lambda each: (columns[each].rank, each))
        if columns[last].rank == 0:
            break
        chosen.remove(last)
    spare = max(0, width - sum(least[each] + _GAP for each in chosen) + _GAP)
    widths = {}
    for each in sorted(chosen, key=lambda each: columns[each].rank):
        widths[each] = least[each] + min(spare, full[each] - least[each])
        spare -= widths[each] - least[each]
    return {each: widths[each] for each in chosen}


def footer(screen: Screen, shown: int, data: Row, noun: str, of: str) -> None:
    """Say how many rows there are, and that there are more."""
    total = shown if data.get("total") is None else data["total"]
    more = "; --limit N shows more" if data.get("next_cursor") else ""
    counted = f"{shown}" if total == shown else f"{shown} of {total}"
    screen.print([(f"{counted} {noun}{'s' * (total != 1)}{of}{more}", FAINT)])
