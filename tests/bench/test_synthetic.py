"""The clock at the synthetic sources counts theirs and nobody else's, and lets them wait when told to."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bench.board import Board
from tests.bench.synthetic import Meter, followed, watched

WORK = 0.02


def burn() -> None:
    end = time.thread_time() + WORK
    while time.thread_time() < end:
        pass


async def in_thread(threads: object, call: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(call)


class Source:
    run: Callable[..., Any]

    def inner(self) -> None:
        burn()

    def outer(self) -> str:
        self.inner()
        return "done"

    async def fetch(self, at: float) -> float:
        burn()
        await asyncio.sleep(0)
        burn()
        return at

    async def in_a_thread(self, call: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        await self.run(None, call)

    async def fails(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("it fails")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


@pytest.fixture
def source(board: Board, monkeypatch: pytest.MonkeyPatch) -> Source:
    meter = Meter(board)
    for name in ("inner", "outer", "fetch", "fails", "in_a_thread"):
        monkeypatch.setattr(Source, name, watched(vars(Source)[name], meter, waits=name == "fetch"))
    monkeypatch.setattr(Source, "run", staticmethod(followed(in_thread, meter)), raising=False)
    return Source()


def test_a_call_within_a_call_counts_once(source: Source, board: Board) -> None:
    assert source.outer() == "done"
    assert WORK <= board.spent < 2 * WORK


async def test_what_others_do_while_a_source_waits_is_not_its_own(source: Source, board: Board) -> None:
    async def other() -> None:
        for _ in range(5):
            burn()
            await asyncio.sleep(0)

    found, _ = await asyncio.gather(source.fetch(3.0), other())
    assert found == 3.0
    assert 2 * WORK <= board.spent < 4 * WORK


async def test_what_a_source_gives_to_another_thread_is_its_own_and_what_others_give_is_not(
    source: Source, board: Board
) -> None:
    await source.in_a_thread(burn)
    assert WORK <= board.spent < 2 * WORK
    before = board.spent
    await source.run(None, burn)
    assert board.spent == before


async def test_an_error_of_a_source_comes_through(source: Source) -> None:
    with pytest.raises(ValueError, match="it fails"):
        await source.fails()


async def test_a_source_waits_while_it_is_held_and_others_go_on(source: Source, board: Board) -> None:
    board.held = True
    task = asyncio.create_task(source.fetch(1.0))
    assert source.outer() == "done"
    await asyncio.sleep(0)
    assert not task.done()
    board.held = False
    assert await task == 1.0


async def test_a_source_that_is_held_can_be_cancelled(source: Source, board: Board) -> None:
    board.held = True
    task = asyncio.create_task(source.fetch(1.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
