"""GET /: what runs now, what is wasted now, how fresh the sources are, and where to go."""

from collections.abc import Mapping
from typing import Any, Final

from aggregator.api.areas import CLUSTERS, HEALTH
from aggregator.api.clusters import read_cluster
from aggregator.api.freshness import age, is_stale
from aggregator.api.identity import ANONYMOUS
from aggregator.api.keys import CLOCK, SETTINGS, STORE
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit

_REFRESH_SECONDS: Final = 30


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read the sums of each cluster, for those who may see them, and how fresh the sources are, for all."""
    settings, now = visit.request.app[SETTINGS], visit.request.app[CLOCK]()
    snapshot = visit.request.app[STORE].current
    is_known = visit.identity is not ANONYMOUS or CLUSTERS in settings.open_areas
    clusters = [read_cluster(visit.request, name)[0] for name in sorted(snapshot.clusters)] if is_known else []
    return {
        "totals": clusters,
        "running": {each["cluster"]: _count(each, "running") for each in clusters},
        "waiting": {each["cluster"]: _count(each, "pending") for each in clusters},
        # Without their errors: the page is open to all, and errors may name hosts.
        "sources": [
            {
                "source": status.source, "scope": status.scope, "age": age(status, now),
                "is_good": status.up and not is_stale(status, now, settings.stale_after),
            }
            for _, status in sorted(snapshot.sources.items())
        ],
        "is_known": is_known,
        "refresh": _REFRESH_SECONDS,
    }  # fmt: skip


def _count(cluster: Mapping[str, Any], state: str) -> int | None:
    jobs = cluster["jobs"]
    return None if jobs is None else sum(each["count"] for each in jobs if each["state"] == state)


PAGE: Final = WebPage(path="/", template="door.html", read=read, area=HEALTH)
