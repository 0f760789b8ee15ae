"""What is drawn: colours on a terminal only, ASCII where the locale is not UTF-8, as wide as the terminal."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TextIO

from aggregator.client.errors import Unreachable
from aggregator.client.printable import ascii_only, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NARROW: Final = 80
_EIGHTHS: Final = "▏▎▍▌▋▊▉█"
_PLAIN: Final = {"–": "-", "…": "~", "·": "|", "×": "x", "≥": ">=", "≤": "<="}
_SIGNS: Final = str.maketrans(_PLAIN)
_HOME, _REST = "\x1b[H", "\x1b[J"
_LINE: Final = "\x1b[K\n"
# Severity, or how much of what is held is used → how it is drawn.
BAD, POOR, GOOD, FAINT, HEAD = "bold red", "yellow", "green", "dim", "bold"
STYLES: Final = {"critical": BAD, "warning": POOR}

# Texts with their styles, one after another.
Line = Sequence[tuple[str, str] | str]


@dataclass(frozen=True)
class Screen:
    """Where a command draws, by the environment of its caller."""

    out: TextIO
    environment: Mapping[str, str]

    @cached_property
    def width(self) -> int:
        """Give the columns of the terminal; 80 where there is none."""
        return max(40, shutil.get_terminal_size((NARROW, 24)).columns)

    @cached_property
    def is_terminal(self) -> bool:
        """Tell whether people look at it."""
        return self.out.isatty()

    @cached_property
    def is_ascii(self) -> bool:
        """Tell whether the locale is not UTF-8; Python itself takes UTF-8 for the locales C and POSIX."""
        if sys.flags.utf8_mode and self.environment.get("PYTHONUTF8") != "1":
            return True
        return "utf" not in (self.out.encoding or "").lower()

    @cached_property
    def has_colour(self) -> bool:
        """Tell whether colours are wanted."""
        return self.is_terminal and not self.environment.get("NO_COLOR") and self.environment.get("TERM") != "dumb"

    @cached_property
    def console(self) -> "Console":
        """Make what draws."""
        from rich.console import Console

        return Console(
            file=self.out, width=self.width, color_system="standard" if self.has_colour else None,
            force_terminal=self.is_terminal, highlight=False, markup=False, emoji=False, legacy_windows=False,
        )  # fmt: skip

    def safe(self, text: str) -> str:
        """Write a text so that it cannot command the terminal, and that the locale has its characters."""
        return ascii_only(printable(text).translate(_SIGNS)) if self.is_ascii else printable(text)

    def text(self, line: Line) -> "Text":
        """Make a line of texts and their styles."""
        from rich.text import Text

        made = Text()
        for each in line:
            text, style = (each, "") if isinstance(each, str) else each
            made.append(self.safe(text), style)
        return made

    @property
    def mark(self) -> str:
        """Give what stands for the rest of a text that is cut."""
        return "~" if self.is_ascii else "…"

    def print(self, *lines: Line) -> None:
        """Print lines, broken between words where they are too long; what a line begins with, all its rows do."""
        for line in lines:
            text = self.text(line)
            indent = len(text.plain) - len(text.plain.lstrip(" "))
            rows = text[indent:].wrap(self.console, self.width - indent) if indent < self.width else [text]
            for row in rows or [text]:
                row.pad_left(indent)
                self.print_row(row)

    def print_cut(self, *lines: Line) -> None:
        """Print each line in one row, cut where it is too long."""
        for line in lines:
            text = self.text(line)
            if text.cell_len > self.width:
                text.truncate(self.width - 1)
                text.append(self.mark)
            self.print_row(text)

    def print_row(self, text: "Text") -> None:
        """Print one row as it is, without the spaces at its end."""
        text.rstrip()
        self.console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def bar(self, ratio: float | None, cells: int) -> str:
        """Draw a ratio from 0 to 1 on its track; an unknown one has none. A little is not nothing."""
        if ratio is None:
            return " " * cells
        eighths = max(round(8 * cells * min(max(ratio, 0.0), 1.0)), int(ratio > 0))
        if self.is_ascii:
            return f"{'#' * -(-eighths // 8)}{'.' * (cells - -(-eighths // 8))}"
        whole, part = divmod(eighths, 8)
        return f"{'█' * whole}{_EIGHTHS[part - 1] if part else ''}".ljust(cells, "░")

    def warn(self, warnings: Iterable[str]) -> None:
        """Say on stderr what is missing from an answer."""
        self.out.flush()
        for each in warnings:
            print(f"warning: {self.safe(each)}", file=sys.stderr)

    def watch(self, draw: Callable[["Screen"], Iterable[str]], seconds: float, pause: Callable[[float], Any]) -> None:
        """Draw again and again until Ctrl-C; while the service is away say so, and go on."""
        try:
            while True:
                # Anew each time: the terminal may have another width.
                now = Screen(self.out, self.environment)
                with now.console.capture() as drawn:
                    now._draw_or_say(draw)
                now._redraw(drawn.get())
                pause(seconds)
        except KeyboardInterrupt:
            return

    def _draw_or_say(self, draw: Callable[["Screen"], Iterable[str]]) -> None:
        try:
            for each in draw(self):
                self.print([(f"warning: {each}", POOR)])
        except Unreachable as error:
            self.print([(str(error), BAD)])

    def _redraw(self, text: str) -> None:
        """Replace what is drawn, without a moment in which the screen is empty; what is below its end is left out."""
        if self.is_terminal:
            lines = text.splitlines()[: shutil.get_terminal_size().lines - 1]
            text = f"{_HOME}{''.join(f'{line}{_LINE}' for line in lines)}{_REST}"
        self.out.write(text)
        self.out.flush()


def screen() -> Screen:
    """Give the screen of this process."""
    return Screen(sys.stdout, os.environ)
