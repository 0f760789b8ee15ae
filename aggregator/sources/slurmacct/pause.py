"""Leave slurmdbd alone while it changes its tables: at every upgrade, for hours where they are large."""

from aggregator.sources.base import FetchError

FIRST_SECONDS = 5.0
MAX_SECONDS = 120.0


class Pause:
    """A back-off: each attempt that finds the tables changing doubles the time to the next one."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._error = ""
        self._since = 0.0
        self._seconds = 0.0

    def check(self, at: float | None = None) -> None:
        """Let a fetch pass when its time has come, and a read on demand (without a time) when there is no pause.

        Raises the FetchError that began the pause.
        """
        if self._error and (at is None or self._since <= at < self._since + self._seconds):
            raise FetchError(self._error)

    def begin(self, cause: FetchError, at: float) -> FetchError:
        """Begin a pause, or a longer one; give the error that says why."""
        # The same words at every attempt: a changing text would be logged each time.
        self._error = str(self.describe(cause))
        self._since, self._seconds = at, min(MAX_SECONDS, max(FIRST_SECONDS, 2 * self._seconds))
        return FetchError(self._error)

    def end(self) -> None:
        """End the pause: a fetch has succeeded."""
        self._error, self._seconds = "", 0.0

    def describe(self, cause: FetchError) -> FetchError:
        """Say what happens, in front of what the server said."""
        return FetchError(f"{self._key}: slurmdbd is changing its tables: {str(cause).removeprefix(f'{self._key}: ')}")
