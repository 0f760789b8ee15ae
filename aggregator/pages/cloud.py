"""GET /ui/cloud: projects and instances, those that do nothing first."""

from collections.abc import Mapping
from typing import Any, Final

from aggregator.api.cloud import read_clouds
from aggregator.pages.chart import bar
from aggregator.pages.listing import OF_LISTS, read_listing
from aggregator.pages.numbers import plain
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit

_PROJECTS: Final = "/api/v1/cloud/projects"
_INSTANCES: Final = "/api/v1/cloud/instances"


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read the clouds, and of their projects and instances those that may be seen."""
    data, warnings = read_clouds(visit.request)
    projects = await read_listing(visit, _PROJECTS, {}, sort="-idle_vcpus,-vcpus", is_first=True)
    instances = await read_listing(visit, _INSTANCES, {}, sort="-idle,-vcpus")
    return {
        "clouds": data["clouds"],
        "projects": projects,
        "instances": instances,
        "idle": sum(row["idle_instances"] or 0 for row in projects.rows),
        "idle_vcpus": sum(row["idle_vcpus"] or 0 for row in projects.rows),
        "bars": [_bar(visit, row) for row in instances.rows],
        "warnings": warnings,
    }


def _bar(visit: Visit, row: Mapping[str, Any]) -> Any:
    ratio = row["cpu_ratio"]
    return bar(ratio, "bad" if row["idle"] else "", f"CPU: {plain(visit.numbers.percent(ratio))}")


PAGE: Final = WebPage(path="/ui/cloud", template="cloud.html", read=read, parameters=OF_LISTS)
