"""GET /ui/clusters/{cluster}/users/{user}: what somebody's jobs hold, use and waste."""

from collections.abc import Mapping
from typing import Any, Final

from aggregator.api.owners import read_user
from aggregator.api.parameters import Parameters
from aggregator.api.series import user_scene
from aggregator.api.usage import read_user_usage
from aggregator.pages.owner import limits_of, read_of
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit
from aggregator.pages.sums import sums_of

_REFRESH_SECONDS: Final = 60


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read the sums of a user under each account, and the rest of the page."""
    request, name = visit.request, visit.request.match_info["user"]
    data, warnings = await read_user(request)
    usage = read_user_usage(request, Parameters(request, {"resolution": "day"}))
    more = await read_of(visit, "user", name, lambda: user_scene(request), usage)
    accounts = [{**row, "shown_limits": limits_of(row["limits"], visit.language)} for row in data["accounts"]]
    return {
        **more,
        "name": name,
        "accounts": accounts,
        "sums": sums_of(data["accounts"]),
        "warnings": [*warnings, *more["failures"], *more["missing"]],
        "refresh": _REFRESH_SECONDS,
        "charted": bool(more["figures"]),
    }


PAGE: Final = WebPage(path="/ui/clusters/{cluster}/users/{user}", template="user.html", read=read)
