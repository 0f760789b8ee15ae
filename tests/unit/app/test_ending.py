"""A start that the end of the process does not wait for."""

import asyncio

import pytest

from aggregator.app.ending import unless_ended


async def test_a_start_that_is_done_before_is_waited_for() -> None:
    done = []

    async def start() -> None:
        await asyncio.sleep(0)
        done.append(True)

    await unless_ended(asyncio.Event(), start())
    assert done


async def test_a_start_that_hangs_is_left_and_may_tidy_up() -> None:
    ended, tidied = asyncio.Event(), []

    async def start() -> None:
        ended.set()
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(True)

    await unless_ended(ended, start())
    assert tidied


async def test_what_a_start_raises_is_raised() -> None:
    async def start() -> None:
        raise ValueError("state.url: no such folder")

    with pytest.raises(ValueError, match="no such folder"):
        await unless_ended(asyncio.Event(), start())
