"""Threads by purpose: what a call was given does not outlive it."""

import gc
import weakref

import pytest

from aggregator.executors import Threads, run


class Large:
    """What a call is given."""


def _fail(_: Large) -> None:
    raise ValueError("no sample")


async def test_what_a_call_that_fails_was_given_goes_without_the_collector() -> None:
    """A source may fail for hours, and each time the call was given a whole snapshot."""
    threads, large = Threads("test", 1), Large()
    gone = weakref.ref(large)
    gc.disable()
    try:
        with pytest.raises(ValueError, match="no sample"):
            await run(threads, _fail, large)
        del large
        # The only thread is done with the call before it begins another one.
        assert await run(threads, gone) is None
    finally:
        gc.enable()
