"""Run `hpc-aggregator` with a ticker on its event loop, and with a clock at its synthetic sources.

    python -m tests.bench.probe BOARD [--interval=SECONDS] -- COMMAND …

The product knows nothing of it. The interval is the demo's, which no configuration says.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from aggregator import cli
from tests.bench.board import TICK_SECONDS, Board
from tests.bench.clocks import WaitingClock


def main() -> int:
    """Run the command, and give its exit code."""
    ours, command = _split(sys.argv[1:])
    parser = argparse.ArgumentParser()
    parser.add_argument("board", type=Path)
    parser.add_argument("--interval", type=float)
    flags = parser.parse_args(ours)
    board = Board(flags.board)
    asyncio.set_event_loop_policy(Ticking(board))
    if command[0] == "demo":
        # Nothing of it is in `serve`.
        from tests.bench.demo import refresh_every
        from tests.bench.synthetic import watch

        watch(board)
        refresh_every(flags.interval)
    return cli.main(command)


class Ticking(asyncio.DefaultEventLoopPolicy):
    """Makes event loops that tick."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop = super().new_event_loop()
        Ticker(loop, self._board).start()
        return loop


# How often is looked whether the loop shall tick.
LOOK_SECONDS = 0.25


class Ticker:
    """Writes down when the loop came to each tick, as far as it came at all; only while the board says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop, board: Board) -> None:
        self._loop = loop
        self._board = board
        self._due = 0.0
        self._waiting = WaitingClock(os.getpid())

    def start(self) -> None:
        self._due = self._loop.time() + TICK_SECONDS
        self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if self._board.ticks:
            self._board.add(self._due, now, self._waiting.seconds())
            # Those that were due meanwhile are counted when the board is read.
            self._due += TICK_SECONDS * (1 + (now - self._due) // TICK_SECONDS)
        else:
            self._due = now + LOOK_SECONDS
        self._loop.call_at(self._due, self._tick)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main())
