"""GET /ui/status: the sources, how fresh they are, what they lack, and what to do."""

from collections.abc import Mapping
from typing import Any, Final

from aggregator.api.areas import STAFF
from aggregator.api.status import read_status
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit

_REFRESH_SECONDS: Final = 15


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read what the API says of the sources; those that fail first."""
    status, warnings = await read_status(visit.request)
    failing = [each for each in status["sources"] if not each["up"] or each["stale"] or each["failed_inputs"]]
    return {
        "status": status,
        "failing": failing,
        "lacking": [each for each in status["sources"] if not all(each["features"].values())],
        "warnings": warnings,
        "refresh": _REFRESH_SECONDS,
    }


PAGE: Final = WebPage(path="/ui/status", template="status.html", read=read, area=STAFF)
