"""Parts of a page that may be missing without the rest: what fails is a sentence in their place."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from aggregator.api.errors import ApiError
from aggregator.sources.base import FetchError

T = TypeVar("T")
# Longer nobody looks at an empty page.
_PATIENCE_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class Tried(Generic[T]):
    """What was read, or why it was not."""

    value: T | None
    failure: str = ""


async def attempt(reading: Awaitable[T]) -> Tried[T]:
    """Read a part of a page, which waits only so long."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return Tried(await reading)
    except TimeoutError:
        return Tried(None, f"no answer within {_PATIENCE_SECONDS:g} s")
    except (ApiError, FetchError) as error:
        return Tried(None, str(error))
