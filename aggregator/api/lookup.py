"""The cluster or file system that a request's path names."""

from collections.abc import Iterable, Sequence

from aiohttp import web

from aggregator.api.errors import ApiError, NotFound, Starting, Unavailable
from aggregator.api.freshness import STORAGE, accounting_failure, storage_failure
from aggregator.api.identity import identity_of
from aggregator.api.keys import CLOCK, REPLICAS, SETTINGS, STORE
from aggregator.api.visibility import Rights, rights_of
from aggregator.engine.view import View
from aggregator.model.view import ClusterView, Snapshot

_SHOWN = 100


def find_cluster(snapshot: Snapshot, name: str) -> ClusterView:
    """Give the cluster's view; an unknown one raises NotFound."""
    view = snapshot.clusters.get(name)
    if view is None:
        raise _not_configured(snapshot, "cluster", name, snapshot.clusters)
    return view


def missing_accounting(request: web.Request, snapshot: Snapshot, cluster: str) -> str | None:
    """Say why the cluster's jobs are not known at the time of the request; None when they are."""
    return accounting_failure(snapshot, cluster, request.app[CLOCK](), request.app[SETTINGS].stale_after)


def find_accounted_cluster(request: web.Request, snapshot: Snapshot) -> ClusterView:
    """Give the view of the cluster in the path, whose jobs are known.

    Raises NotFound, or Unavailable naming the source and its error.
    """
    view = find_cluster(snapshot, request.match_info["cluster"])
    failure = missing_accounting(request, snapshot, view.cluster)
    if failure is not None:
        raise Unavailable(failure)
    return view


def find_seen_cluster(request: web.Request) -> tuple[ClusterView, Rights]:
    """Give the view of the cluster in the path, whose jobs are known, and what the identity may see of it.

    Raises NotFound, or Unavailable naming the source and its error.
    """
    view = find_accounted_cluster(request, request.app[STORE].current)
    return view, rights_in(request, view)


def find_seen_filesystem(request: web.Request) -> tuple[View, Rights]:
    """Give the view of the file system in the path, whose data are known, and what the identity may see of it.

    Raises NotFound, or Unavailable naming the source and its error.
    """
    view = find_filesystem(request.app[STORE].current, request.match_info["filesystem"])
    return view, rights_in(request)


def rights_in(request: web.Request, view: ClusterView | None = None) -> Rights:
    """Give what the identity of a request may see of a cluster, or of what belongs to none."""
    return rights_of(identity_of(request), request.app[SETTINGS].rules, view)


def replica_warnings(request: web.Request, cluster: str) -> Sequence[str]:
    """Say what there is to say of where the cluster's history was read just now."""
    replica = request.app[REPLICAS].get(cluster)
    return replica.notes() if replica else ()


def find_filesystem(snapshot: Snapshot, name: str) -> View:
    """Give the file system's view, whose data are known; how old they are, the view itself says.

    Raises NotFound, or Unavailable naming the source and its error.
    """
    failure = storage_failure(snapshot, name)
    if failure is not None:
        raise Unavailable(failure)
    view = snapshot.filesystems.get(name)
    if view is None:
        raise _not_configured(snapshot, "file system", name, filesystem_names(snapshot))
    return view


def filesystem_names(snapshot: Snapshot) -> list[str]:
    """List the file systems that are configured, whether or not they have been read."""
    return sorted(snapshot.filesystems.keys() | {scope for source, scope in snapshot.sources if source in STORAGE})


def _not_configured(snapshot: Snapshot, kind: str, name: str, known: Iterable[str]) -> ApiError:
    has = ", ".join(sorted(known)) or "none"
    return absent(snapshot, f'{kind} "{name[:_SHOWN]}": not configured; this service has: {has}')


def absent(snapshot: Snapshot, what: str) -> ApiError:
    """Give the error for a name that is not there; before the first source is opened nobody can say so."""
    if snapshot.clusters or snapshot.filesystems or snapshot.clouds:
        return NotFound(what)
    return Starting("the service is starting, and has read nothing yet")
