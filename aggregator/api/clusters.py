"""GET /api/v1/clusters and /api/v1/clusters/{cluster}."""

from aiohttp import web

from aggregator.api.energy_representation import cluster_energy_json
from aggregator.api.envelope import success
from aggregator.api.freshness import source_warnings, sources_of
from aggregator.api.identity import ANONYMOUS, identity_of
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.api.lookup import find_cluster, missing_accounting
from aggregator.api.node_representation import scheduler_json
from aggregator.api.parameters import Parameters
from aggregator.api.provenance import STORED, as_stored
from aggregator.api.representation import Json, freshness_json, times
from aggregator.api.totals import total_json
from aggregator.model.view import ClusterView, Snapshot

_UNKNOWN: Json = {"jobs": None, "allocated": None, "used": None, "wasted": None, "power": None, "waste_jobs": None}


async def list_clusters(request: web.Request) -> web.Response:
    """Answer with the totals and the freshness of every cluster."""
    Parameters(request)
    snapshot = request.app[STORE].current
    stored = request.app[STORED]
    clusters = [
        as_stored(_cluster_json(request, snapshot, view), stored(name))
        for name, view in sorted(snapshot.clusters.items())
    ]
    warnings = [warning for name in sorted(snapshot.clusters) for warning in _warnings(request, snapshot, name)]
    return success(request, {"clusters": clusters}, warnings)


async def get_cluster(request: web.Request) -> web.Response:
    """Answer with the totals and the freshness of one cluster."""
    Parameters(request)
    snapshot = request.app[STORE].current
    view = find_cluster(snapshot, request.match_info["cluster"])
    return success(request, _cluster_json(request, snapshot, view), _warnings(request, snapshot, view.cluster))


def _warnings(request: web.Request, snapshot: Snapshot, cluster: str) -> list[str]:
    """Say what is missing, to those who are known: errors may name hosts."""
    return [] if identity_of(request) is ANONYMOUS else list(source_warnings(snapshot, cluster))


def _cluster_json(request: web.Request, snapshot: Snapshot, view: ClusterView) -> Json:
    """Show one cluster; without accounting its totals are unknown, which is not zero."""
    now, stale_after = request.app[CLOCK](), request.app[SETTINGS].stale_after
    statuses = sources_of(snapshot, view.cluster)
    hidden = {"error": None} if identity_of(request) is ANONYMOUS else {}
    known = missing_accounting(request, snapshot, view.cluster) is None
    return {
        "cluster": view.cluster,
        **times("as_of", view.time),
        **(total_json(view.frames) if known else _UNKNOWN),
        "slurmctld": scheduler_json(view.frames),
        "energy": cluster_energy_json(view),
        "sources": [{**freshness_json(status, now, stale_after), **hidden} for status in statuses],
    }
