"""How old what is known is, and whether it may still be served."""

from collections.abc import Iterator

from aggregator.api.envelope import rfc3339
from aggregator.engine.view import View
from aggregator.model.view import Snapshot, SourceStatus

ACCOUNTING = "slurmacct"
STORAGE = ("robinhood", "quota")
CLOUD = "cloud"
USAGE = "usage"
REPLICA = "slurmacct_replica"
# Usage is read every ten minutes, whatever stale_after is.
_USAGE_STALE_SECONDS = 1800.0


def age(status: SourceStatus, now: float) -> float | None:
    """Give the seconds since the source was last read well; None when it never was."""
    return None if status.last_success is None else max(0.0, now - status.last_success)


def is_stale(status: SourceStatus, now: float, stale_after: float) -> bool:
    """Tell whether the source has no data, or none that are young enough to be served."""
    seconds = age(status, now)
    limit = max(stale_after, _USAGE_STALE_SECONDS) if status.source == USAGE else stale_after
    return seconds is None or seconds > limit


def sources_of(snapshot: Snapshot, scope: str) -> tuple[SourceStatus, ...]:
    """List what is known of the sources of one cluster or file system, by name."""
    return tuple(status for (_, of), status in sorted(snapshot.sources.items()) if of == scope)


def accounting_failure(snapshot: Snapshot, cluster: str, now: float, stale_after: float) -> str | None:
    """Say why nothing can be told about the cluster's jobs; None when something can."""
    status = snapshot.sources.get((ACCOUNTING, cluster))
    if status is None:
        return f'{ACCOUNTING} of "{cluster}": not fetched yet'
    return describe_failure(status) if is_stale(status, now, stale_after) else None


def storage_failure(snapshot: Snapshot, filesystem: str) -> str | None:
    """Say why nothing can be told about the file system; None when something can.

    Its interval may be longer than any stale_after, so age decides nothing here: the refresh empties an old view.
    """
    statuses = [status for name in STORAGE if (status := snapshot.sources.get((name, filesystem)))]
    view = snapshot.filesystems.get(filesystem)
    if not statuses or (view is not None and (_has_rows(view) or any(each.up for each in statuses))):
        return None
    return "; ".join(map(describe_failure, statuses))


def _has_rows(view: View) -> bool:
    return not (view["groups"].is_empty() and view["users"].is_empty())


def cloud_failure(snapshot: Snapshot, cloud: str) -> str | None:
    """Say why nothing can be told about the cloud; None when something can."""
    status, view = snapshot.sources.get((CLOUD, cloud)), snapshot.clouds.get(cloud)
    if status is None or (view is not None and (view["instances"].height or status.up)):
        return None
    return describe_failure(status)


def describe_failure(status: SourceStatus) -> str:
    """Name the source, since when there are no new data, and its error."""
    since = rfc3339(status.last_success)
    parts = [f'{status.source} of "{status.scope}"', *([f"no data since {since}"] if since else [])]
    return ": ".join([*parts, status.error or "not fetched yet"])


def source_warnings(snapshot: Snapshot, scope: str) -> Iterator[str]:
    """Name what is missing from an answer: sources that were not read last, and single inputs of those that were.

    And where a cluster's sources contradict each other.
    """
    for status in sources_of(snapshot, scope):
        if status.source == REPLICA:
            # What is read from it says so itself, and the rest does not need it.
            continue
        if status.last_success is not None and status.last_success == status.last_attempt:
            for name, error in sorted(status.failed_inputs.items()):
                yield f'{status.source} of "{scope}": {name}: {error}'
        elif not status.up:
            yield describe_failure(status)
    if scope in snapshot.clusters:
        yield from snapshot.clusters[scope].warnings


def summarize(status: SourceStatus, now: float) -> str:
    """Write one line for people: the source and the age of its data (never its error, which may name hosts)."""
    seconds = age(status, now)
    data = "no data yet" if seconds is None else f"data {seconds:.0f} s old"
    failing = "" if status.up or status.last_attempt is None else ", last fetch failed"
    # The allocations file is of no cluster in particular.
    name = f"{status.source} {status.scope}".rstrip()
    return f"{name}: {data}{failing}"
