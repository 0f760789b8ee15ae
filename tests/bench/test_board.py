"""What the board says of a loop: every moment at which a tick was due counts, whether the loop came then or not."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.board import TICK_SECONDS, Board
from tests.bench.probe import LOOK_SECONDS, Ticker


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


def test_ticks_that_were_due_while_the_loop_was_blocked_count_with_their_own_lateness(board: Board) -> None:
    board.add(1.0, 1.001)
    board.add(1.005, 1.0165)
    assert sorted(board.lateness(0.0, 2.0)) == pytest.approx([0.001, 0.0015, 0.0065, 0.0115])


def test_only_ticks_that_were_due_in_the_time_count(board: Board) -> None:
    for due in (1.0, 1.005, 1.01):
        board.add(due, due)
    assert len(board.lateness(1.002, 1.01)) == 1
    assert board.lateness(5.0, 6.0) == []


def test_a_board_without_ticks_says_nothing(board: Board) -> None:
    assert board.lateness(0.0, 1e9) == []


def test_another_process_sees_what_one_writes(board: Board, tmp_path: Path) -> None:
    other = Board(tmp_path / "board")
    board.held, board.spent = True, 1.5
    board.add(1.0, 1.5)
    assert (other.held, other.spent, max(other.lateness(0.0, 2.0))) == (True, 1.5, 0.5)
    other.held = False
    assert not board.held


def test_the_time_in_which_others_had_the_cpus_can_be_left_out(board: Board) -> None:
    board.add(1.0, 1.0, 5.0)
    board.add(1.005, 1.015, 5.004)
    assert sorted(board.lateness(1.001, 2.0, own=True)) == pytest.approx([0.0, 0.001, 0.006], abs=1e-9)
    assert max(board.lateness(1.001, 2.0)) == pytest.approx(0.01)


class _Loop:
    """A loop that comes to each call when it is due."""

    def __init__(self) -> None:
        self.now = 1.0
        self._call: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        self.now, self._call = when, call

    def go_on(self) -> float:
        """Come to the next call, and give the time that it was asked to come at next."""
        self._call()
        return self.now


def test_a_loop_ticks_only_while_somebody_asks_how_late_it_is(board: Board) -> None:
    """A tick costs CPU, which must not be taken for the service's."""
    loop = _Loop()
    Ticker(cast(asyncio.AbstractEventLoop, loop), board).start()
    began = loop.now
    assert loop.go_on() == pytest.approx(began + LOOK_SECONDS)
    assert board.lateness(0.0, 1e9) == []
    board.ticks = True
    assert loop.go_on() == pytest.approx(began + LOOK_SECONDS + TICK_SECONDS)
    assert board.lateness(0.0, 1e9) == [0.0]


@given(blocked=st.lists(st.integers(0, 40), max_size=20))
def test_a_loop_that_is_blocked_again_and_again_is_late_at_each_tick_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, blocked: list[int]
) -> None:
    """Each tick that is due while it is blocked is late by what is left of that time."""
    board, due, rest = Board(tmp_path_factory.mktemp("board") / "board"), 1.0, 0.002
    for ticks in blocked:
        board.add(due, due + ticks * TICK_SECONDS + rest)
        due += TICK_SECONDS * (1 + ticks)
    expected = sorted(left * TICK_SECONDS + rest for ticks in blocked for left in range(ticks + 1))
    assert sorted(board.lateness(0.0, 1e9)) == pytest.approx(expected)
