"""Threads by purpose: one that hangs takes only threads of its own kind, and all are started at the beginning."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

from aggregator.cpus import usable_cpus

P = ParamSpec("P")
T = TypeVar("T")
_Task = tuple[Future[Any], Callable[[], Any]]


class Threads(ThreadPoolExecutor):
    """Some threads for one purpose, which live as long as the process and never hold up its end.

    ThreadPoolExecutor starts threads when there is work, which fails when memory is short, and waits for them at the
    end, which never comes for one that hangs.
    """

    def __init__(self, purpose: str, count: int) -> None:
        super().__init__(count)
        self.purpose = purpose
        self.count = count
        self.busy = 0
        self._tasks: SimpleQueue[_Task] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0

    @property
    def waiting(self) -> int:
        """Count the calls that wait for a thread."""
        return self._tasks.qsize()

    def start(self) -> None:
        """Start what threads are missing.

        Raises RuntimeError or MemoryError when the system gives no more of them.
        """
        with self._lock:
            while self._started < self.count:
                threading.Thread(target=self._work, name=f"{self.purpose}-{self._started}", daemon=True).start()
                self._started += 1

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a thread call a function; the threads are started if nobody has."""
        if self._started < self.count:
            self.start()
        future: Future[T] = Future()
        self._tasks.put((future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: the threads end with the process, and one that hangs would be waited for in vain."""

    def _work(self) -> None:
        while True:
            future, call = self._tasks.get()
            if future.set_running_or_notify_cancel():
                self._call(future, call)
            # What was computed must not live until the next call.
            del future, call

    def _call(self, future: Future[Any], call: Callable[[], Any]) -> None:
        with self._lock:
            self.busy += 1
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            with self._lock:
                self.busy -= 1
            # An error's traceback has this frame: the future has the error, and must not be in turn in the frame. All
            # that the call was given would live until somebody looks for garbage.
            del future, call


# Four at least: what two of them hang with must not stop the rest.
_WORKERS: Final = max(4, min(usable_cpus(), 8))
# Names of hosts, nothing else: asyncio resolves them by its default executor, and a silent server keeps a thread for
# half a minute.
DNS: Final = Threads("dns", 16)
REFRESH: Final = Threads("refresh", _WORKERS)  # what the loops join, read and render
ANSWERS: Final = Threads("answers", _WORKERS)  # what requests need
STATE: Final = Threads("state", 2)  # migrations and compression
FILES: Final = Threads("files", 4)  # files of the configuration, which may be on a network's file system
PASSWORDS: Final = Threads("passwords", 2)  # slow on purpose: wrong ones hold up nobody but others with passwords
ALL: Final = (DNS, REFRESH, ANSWERS, STATE, FILES, PASSWORDS)


def start_threads() -> None:
    """Start every thread now, and let names be resolved by those that are for it; called in the event loop.

    Raises RuntimeError or MemoryError when the system gives no more threads.
    """
    for threads in ALL:
        threads.start()
    asyncio.get_running_loop().set_default_executor(DNS)


async def run(threads: Threads, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in one of these threads, with the caller's context; a cancelled call is no longer waited for."""
    context = contextvars.copy_context()
    return await asyncio.wrap_future(threads.submit(context.run, partial(function, *args, **kwargs)))
