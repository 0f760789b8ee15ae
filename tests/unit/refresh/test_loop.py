"""Loops go on, whatever ends them; they say once that they are slow, and whether they come round."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import pytest

from aggregator.refresh import loop
from aggregator.refresh.loop import Scheduled, run_loops
from aggregator.refresh.progress import Progress


class Refresher:
    """Do what the script says at each refresh, and set `done` at its end."""

    def __init__(self, *script: Callable[[], None]) -> None:
        self.name = "cluster narval"
        self.done = asyncio.Event()
        self.withdrawn = 0
        self._script = list(script)

    async def refresh(self, at: float) -> None:
        if not self._script:
            self.done.set()
            return
        self._script.pop(0)()

    async def withdraw(self, at: float) -> None:
        self.withdrawn += 1


class BrokenRefresher(Refresher):
    async def withdraw(self, at: float) -> None:
        raise KeyError("another bug")


def fail() -> None:
    raise ValueError("a bug")


def cancel() -> None:
    raise asyncio.CancelledError


async def run(refresher: Refresher, interval: float = 0.001) -> int:
    """Refresh until the script is done; give how often the loop was started again."""
    progress = Progress()
    task = asyncio.create_task(run_loops([Scheduled(refresher, interval)], progress=progress))
    async with asyncio.timeout(10):
        await refresher.done.wait()
    ((_, restarts),) = progress.ages().values()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert progress.ages() == {}, "a loop that was ended is not expected any more"
    return restarts


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "RESTART_SECONDS", 0.001)


async def test_a_bug_in_a_refresh_withdraws_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refresher = Refresher(fail, fail, fail)
    assert await run(refresher) == 0
    assert refresher.withdrawn == 3
    assert caplog.text.count("refresh failed") == 1
    assert "refresh succeeded: of=cluster narval failures=3" in caplog.text


@pytest.mark.parametrize(("broken", "times"), [(fail, 3), (cancel, 2)])
async def test_a_loop_that_a_bug_ends_is_started_again_and_counted(broken: Callable[[], None], times: int) -> None:
    assert await run(BrokenRefresher(*[broken] * times)) == times


async def test_a_loop_that_is_slow_says_so_once_until_it_is_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = loop._Loop(Scheduled(Refresher(), 10.0), lambda: 0.0, Progress())
    for took in (1.0, 11.0, 12.0, 13.0, 2.0, 11.0):
        told._tell_slowness(took)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_a_loop_has_stalled_when_it_does_not_come_round_in_interval_and_patience() -> None:
    now = [0.0]
    progress = Progress(lambda: now[0])
    progress.expect([("a", 30.0), ("b", 300.0)], 600.0)
    now[0] = 630.0
    assert progress.stalled() == []
    now[0] = 631.0
    assert progress.stalled() == ["a"]
    progress.beat("a")
    assert progress.stalled() == []
    progress.restarted("a")
    progress.forget(["a", "b"])
    assert progress.ages() == {}
    progress.expect([("a", 30.0)], 600.0)
    assert progress.ages() == {"a": (0.0, 1)}, "what was counted does not go back"
