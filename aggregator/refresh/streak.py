"""Failures that follow each other: said once, counted, and asked again less and less often."""

import logging
import random
import time
from collections.abc import Callable
from typing import Final

# A source that has come back is found after so many intervals at most, or so many seconds where that is less.
MAX_INTERVALS: Final = 5
MAX_SECONDS: Final = 120.0


class Streak:
    """Log the first failure of a row, whatever the texts of those that follow, and at the end how many there were."""

    def __init__(self, log: logging.Logger, what: str, of: str) -> None:
        self.failures = 0
        self._log = log
        self._what = what
        self._of = of
        self._is_new = True

    def note(self, error: str) -> None:
        """Note an outcome: the error's text, "" for success."""
        if error:
            level = logging.DEBUG if self.failures else logging.WARNING
            self._log.log(level, "%s failed: %s error=%s", self._what, self._of, error)
            self.failures += 1
        elif self.failures or self._is_new:
            self._log.info("%s succeeded: %s failures=%d", self._what, self._of, self.failures)
            self.failures = 0
        self._is_new = False


class Backoff:
    """Tell whether it is time to ask what fails: at the next interval, then after 2 and 4 of them, up to the limit.

    A little sooner by chance, so that those who failed together do not come back together.
    """

    def __init__(self, interval: float, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._now = now
        self._failures = 0
        self._due = 0.0

    @property
    def is_due(self) -> bool:
        """Tell whether to ask now."""
        return not self._failures or self._now() >= self._due

    def note(self, failed: bool) -> None:
        """Note whether it could not be read at all."""
        self._failures = self._failures + 1 if failed else 0
        limit = max(self._interval, min(MAX_INTERVALS * self._interval, MAX_SECONDS))
        # The exponent is bounded, as is a float.
        pause = 0.0 if self._failures < 2 else min(self._interval * 2 ** min(self._failures - 1, 8), limit)
        self._due = self._now() + pause * random.uniform(0.8, 1.0)  # noqa: S311
