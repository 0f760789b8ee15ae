"""GET /api/v1/storage/{filesystem}/series: what Lustre's servers show of a file system over time."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from aggregator.api.audit import audit
from aggregator.api.errors import BadData, NotFound
from aggregator.api.keys import SERIES, STORE
from aggregator.api.lookup import find_cluster, rights_in
from aggregator.api.parameters import Parameters
from aggregator.api.series import answer_series
from aggregator.join.series import OTHERS
from aggregator.model.series import Line, Subject
from aggregator.model.view import ClusterView

_KIND: Final = "filesystem"
_SHOWN: Final = 100


async def get_filesystem_series(request: web.Request) -> web.Response:
    """Answer with a graph of a file system; of its users everybody sees the own line, the staff all of them."""
    asked = Parameters(request)
    name = request.match_info["filesystem"]
    view = _find(request, name, asked.text("cluster"))
    rights = rights_in(request)

    def show(lines: Sequence[Line]) -> Sequence[Line]:
        seen = [line for line in lines if "user" not in line.labels or rights.sees_sums("", line.labels["user"])]
        audit(request, {line.labels["user"] for line in seen if line.labels.get("user", OTHERS) != OTHERS})
        return seen

    return await answer_series(request, asked, view, _KIND, Subject(labels=(("filesystem", name),)), show)


def _find(request: web.Request, name: str, cluster: str | None) -> ClusterView:
    """Find the cluster whose Prometheus has the file system's servers.

    Raises NotFound for a file system that is neither configured nor seen, BadData when the cluster must be named.
    """
    snapshot = request.app[STORE].current
    seen = {each.cluster for each in snapshot.clusters.values() if name in each.frames["cluster_lustre"]["filesystem"]}
    if not seen and name not in snapshot.filesystems:
        raise NotFound(f'file system "{name[:_SHOWN]}": neither configured nor shown by Lustre\'s servers')
    if cluster is not None:
        return find_cluster(snapshot, cluster)
    clusters = sorted(seen) or sorted(each for each in snapshot.clusters if request.app[SERIES].available(each, _KIND))
    if len(clusters) != 1:
        known = ", ".join(clusters) or "none, for no cluster has clusters.*.exporters.lustre_exporter"
        raise BadData(f"cluster: name the one whose Prometheus has the servers of {name[:_SHOWN]}: {known}")
    return snapshot.clusters[clusters[0]]
