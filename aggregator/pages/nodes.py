"""GET /ui/clusters/{cluster}/nodes: every node by its state, and those that need somebody."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from aggregator.api.lists import LISTS, read_page
from aggregator.api.node_lists import NODES_PATH
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit

_REFRESH_SECONDS: Final = 60
_PAGE: Final = "1000"
# Of nodes beyond these only the first are drawn.
_MOST_PAGES: Final = 10
_FIELDS: Final = "node,kind,state,cause,explanation,reason,event_timestamp_seconds,cpus,allocated_cpus,busy_cpus,gpus"
# Beside these a node can be used.
_TROUBLE: Final = ("down", "drained", "fail", "failing", "error", "unknown", "no_respond", "not_responding")
_LOOKS: Final = {"draining": "drained", "maint": "drained", "reserved": "idle", "completing": "allocated"}


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read the nodes with their states."""
    each = visit.request.app[LISTS][NODES_PATH]
    rows: list[dict[str, Any]] = []
    asked = {"fields": _FIELDS, "sort": "node", "limit": _PAGE}
    warnings: list[str] = []
    for _n in range(_MOST_PAGES):
        page, warnings = await read_page(visit.request, each, asked.items())
        rows += page.rows.to_dicts()
        if not page.cursor:
            break
        asked["cursor"] = page.cursor
    for row in rows:
        row["look"] = look_of(row["state"])
    troubled = [row for row in rows if row["look"] in ("down", "drained") or row["cause"]]
    return {
        "nodes": rows,
        "states": Counter(row["state"] or "" for row in rows).most_common(),
        "troubled": troubled,
        "down": sum(row["look"] == "down" for row in rows),
        "warnings": warnings,
        "look_of": look_of,
        "refresh": _REFRESH_SECONDS,
    }


def look_of(state: str | None) -> str:
    """Give the class of the style sheet for a state of a node."""
    known = (state or "").lower()
    if any(known.startswith(word) for word in _TROUBLE if word != "drained"):
        return "down"
    return _LOOKS.get(known, known if known in ("allocated", "mixed", "idle", "drained") else "other")


PAGE: Final = WebPage(path="/ui/clusters/{cluster}/nodes", template="nodes.html", read=read)
