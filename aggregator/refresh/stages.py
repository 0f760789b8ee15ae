"""What a refresh needs of the outside: where its view goes, and who wants to know how long a stage took."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

V_contra = TypeVar("V_contra", contravariant=True)
Publish = Callable[[V_contra], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stages:
    """Tell `observe` the name and the seconds of each stage, and `failed` that a refresh was given up."""

    observe: Callable[[str, float], None]
    failed: Callable[[], None] = lambda: None

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time one stage."""
        started = time.perf_counter()
        yield
        self.observe(stage, time.perf_counter() - started)
