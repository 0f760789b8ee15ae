"""GET /ui/clusters/{cluster}/waste: who wastes what now, the most first."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from aggregator.api.cluster_lists import JOBS_PATH
from aggregator.api.clusters import read_cluster
from aggregator.api.lookup import find_seen_cluster
from aggregator.api.route import Parameter
from aggregator.model.waste import SEVERITIES
from aggregator.pages.listing import OF_LISTS, read_listing
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit
from aggregator.parts.waste.rules import Compiled

_FILTERS: Final = ("reason", "severity", "user", "account", "partition")
_BY: Final = "by"
_FIELDS: Final = (
    "id", "user", "account", "job_name", "partition", "elapsed_seconds", "allocated_gpus", "wasted_gpus",
    "wasted_gpu_seconds", "wasted_cpus", "wasted_cpu_seconds", "waste",
)  # fmt: skip


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read the sums of the cluster, and the ranking of those that may be seen."""
    view, rights = find_seen_cluster(visit.request)
    cluster, warnings = read_cluster(visit.request, view.cluster)
    by = "job" if visit.request.query.get(_BY) == "job" or not rights.everything else "user"
    fixed = {"state": "running"}
    if not visit.request.query.get("severity") and not visit.request.query.get("reason"):
        fixed["severity"] = ",".join(SEVERITIES)
    fixed |= {"fields": ",".join(_FIELDS)} if by == "job" else {"group_by": "user,account"}
    listing = await read_listing(visit, JOBS_PATH, fixed, sort="-wasted_gpus,-wasted_cpus", filters=_FILTERS)
    rules = view.context.get(Compiled)
    asked = {**fixed, **_given(listing.query), "sort": listing.sort, "format": "csv"}
    return {
        "totals": cluster,
        "by": by,
        "sees_all": rights.everything,
        "listing": listing,
        "reasons": sorted(rules.names) if rules else [],
        "severities": SEVERITIES,
        "csv": visit.root + JOBS_PATH[1:].format(cluster=quote(view.cluster)) + f"?{urlencode(asked)}",
        "warnings": warnings,
    }


def _given(query: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in query.items() if value}


PAGE: Final = WebPage(
    path="/ui/clusters/{cluster}/waste", template="waste.html", read=read,
    parameters=(
        *OF_LISTS, Parameter(name=_BY, help="A row for each user, or for each job.", choices=("user", "job")),
        *(Parameter(name=name, help="Only jobs of it.") for name in _FILTERS),
    ),
)  # fmt: skip
