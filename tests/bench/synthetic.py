"""How much CPU the synthetic sources take in the process that they feed, and how they are made to wait."""

import asyncio
import importlib
import inspect
import threading
import time
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial, wraps
from typing import Any

from aggregator import executors
from tests.bench.board import Board

PACKAGE = "aggregator.synthetic"
# Nobody asks these but a refresh: while they wait, the service is at rest and answers as ever.
_REFRESHING = frozenset({"fetch", "newest", "windows"})
# Some ten sources wait, and looking more often would keep the service from being at rest.
_PAUSE_SECONDS = 0.25


def watch(board: Board) -> None:
    """Add what all methods of the synthetic sources take to the board, from now on; let them wait when it says so."""
    meter = Meter(board)
    executors.run = followed(executors.run, meter)
    for name, value in vars(importlib.import_module(PACKAGE)).items():
        if name.startswith("Synthetic") and isinstance(value, type):
            for method, function in list(vars(value).items()):
                if inspect.isfunction(function) and not method.startswith("_"):
                    setattr(value, method, watched(function, meter, method in _REFRESHING))


class Meter:
    """Adds up the CPU time of calls, those that are made by others of them left out."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._inside = threading.local()
        self._lock = threading.Lock()

    @property
    def is_inside(self) -> bool:
        """Whether this thread is in such a call."""
        return bool(getattr(self._inside, "deep", False))

    def run(self, call: Callable[[], Any]) -> Any:
        """Make a call and add its CPU time, whatever becomes of it."""
        if self.is_inside:
            return call()
        self._inside.deep, began = True, time.thread_time()
        try:
            return call()
        finally:
            self._inside.deep = False
            with self._lock:
                self.board.spent += time.thread_time() - began


def followed(run: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    """Let what a source gives to other threads count as its own."""

    @wraps(run)
    async def follow(threads: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        call = partial(function, *args, **kwargs)
        return await run(threads, partial(meter.run, call) if meter.is_inside else call)

    return follow


def watched(function: Callable[..., Any], meter: Meter, waits: bool) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(function):

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return meter.run(lambda: function(*args, **kwargs))

        return call

    @wraps(function)
    async def await_it(*args: Any, **kwargs: Any) -> Any:
        while waits and meter.board.held:
            await asyncio.sleep(_PAUSE_SECONDS)
        return await _metered(function(*args, **kwargs), meter)

    return await_it


@types.coroutine
def _metered(work: Coroutine[Any, Any, Any], meter: Meter) -> Generator[Any, Any, Any]:
    """Run a coroutine; what others do while it waits is not its own."""
    step: Callable[[], Any] = partial(work.send, None)
    while True:
        try:
            waited_for = meter.run(step)
        except StopIteration as done:
            return done.value
        try:
            step = partial(work.send, (yield waited_for))
        except BaseException as error:
            step = partial(work.throw, error)
