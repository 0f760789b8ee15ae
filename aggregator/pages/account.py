"""GET /ui/clusters/{cluster}/accounts/{account}: what an account's jobs hold, use and waste, and whose they are."""

from collections.abc import Mapping
from typing import Any, Final

from aggregator.api.owners import read_account
from aggregator.api.parameters import Parameters
from aggregator.api.series import account_scene
from aggregator.api.usage import read_account_usage
from aggregator.pages.owner import limits_of, read_of
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit
from aggregator.pages.sums import sums_of

_REFRESH_SECONDS: Final = 60


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read the sums of an account, its members, and the rest of the page."""
    request, name = visit.request, visit.request.match_info["account"]
    account, warnings = await read_account(request)
    usage = read_account_usage(request, Parameters(request, {"resolution": "day"}))
    more = await read_of(visit, "account", name, lambda: account_scene(request), usage)
    return {
        **more,
        "name": name,
        "account": account,
        "members": sorted(account["users"], key=lambda row: -(row["wasted_gpus"] or 0.0)),
        "limits": limits_of(account["limits"], visit.language),
        "sums": sums_of([account]),
        "warnings": [*warnings, *more["failures"], *more["missing"]],
        "refresh": _REFRESH_SECONDS,
        "charted": bool(more["figures"]),
    }


PAGE: Final = WebPage(path="/ui/clusters/{cluster}/accounts/{account}", template="account.html", read=read)
