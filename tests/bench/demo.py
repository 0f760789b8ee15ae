"""The demo as the bench runs it: the one place that knows how it is made inside."""

from aggregator.app import demo


def refresh_every(seconds: float) -> None:
    """Let the demo of this process refresh so often, whatever its size."""
    demo.interval_of = lambda jobs: seconds
