"""Moments as the API and the files write them."""

from datetime import UTC, datetime


def rfc3339(epoch: float | None) -> str | None:
    """Write an epoch time as RFC 3339 in UTC; None for none, and for one that is beyond the calendar."""
    if epoch is None:
        return None
    try:
        moment = datetime.fromtimestamp(epoch, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds" if moment.microsecond else "seconds") + "Z"
