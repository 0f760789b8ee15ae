"""Whether anything is known of a part of another package."""

from collections.abc import Sequence

from aiohttp import web

from aggregator.api.errors import NotFound, Unavailable
from aggregator.api.freshness import describe_failure, is_stale, sources_of
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.model.view import ClusterView, Snapshot, SourceStatus


def check_read(request: web.Request, view: ClusterView, part: str) -> None:
    """See whether anything of a part is known of a cluster.

    Raises NotFound where it is not configured there, Unavailable naming its sources where none has been read.
    """
    statuses = _of_part(request.app[STORE].current, view.cluster, part)
    if not statuses:
        raise NotFound(
            f'cluster "{view.cluster}": the part {part} is not configured: clusters.{view.cluster}.parts.{part}'
        )
    now, stale_after = request.app[CLOCK](), request.app[SETTINGS].stale_after
    if all(is_stale(status, now, stale_after) for status in statuses):
        raise Unavailable("; ".join(map(describe_failure, statuses)))


def _of_part(snapshot: Snapshot, cluster: str, part: str) -> Sequence[SourceStatus]:
    return [each for each in sources_of(snapshot, cluster) if f"{each.source}_".startswith(f"{part}_")]
