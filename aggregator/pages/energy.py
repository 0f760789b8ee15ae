"""GET /ui/clusters/{cluster}/energy: what power goes into now, and energy by partition, account and outcome."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aggregator.api.cluster_lists import ACCOUNTS_PATH
from aggregator.api.clusters import read_cluster
from aggregator.api.history import read_groups
from aggregator.pages.attempt import attempt
from aggregator.pages.chart import bar, parts_bar
from aggregator.pages.listing import OF_LISTS, read_listing
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit
from aggregator.pages.sums import sums_of

Row = Mapping[str, Any]
_REFRESH_SECONDS: Final = 60
_ENERGY: Final = "energy_joules_total"


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read the power of the cluster, the energy of its accounts, and that of the runs that ended in a week."""
    request, _ = visit.request, visit.language
    cluster, warnings = read_cluster(request, request.match_info["cluster"])
    asked = {"start": "now-7d", "sort": f"-{_ENERGY}"}
    accounts = await read_listing(visit, ACCOUNTS_PATH, {}, sort=f"-{_ENERGY}")
    partitions, outcomes = await asyncio.gather(
        *(attempt(read_groups(request, {**asked, "group_by": by})) for by in ("partition", "state"))
    )
    rows = [{**row, "costs_shown": sums_of([row])["costs"]} for row in accounts.rows]
    watts = [cluster[f"{name}_watts"] for name in ("jobs", "idle", "unattributed")]
    return {
        "totals": cluster,
        "power": None if None in watts or not sum(watts) else _power(visit, watts),
        "accounts": replace(accounts, rows=rows),
        "account_bars": _bars(accounts.rows, "account"),
        "partitions": partitions.value[0] if partitions.value else [],
        "partition_bars": _bars(partitions.value[0], "partition") if partitions.value else {},
        "outcomes": outcomes.value[0] if outcomes.value else [],
        "outcome_bars": _bars(outcomes.value[0], "state") if outcomes.value else {},
        "failures": [each.failure for each in (partitions, outcomes) if each.failure],
        "warnings": warnings,
        "refresh": _REFRESH_SECONDS,
    }


def _power(visit: Visit, watts: Sequence[float]) -> Any:
    _, whole = visit.language, sum(watts)
    names = (_("jobs"), _("idle nodes"), _("no job that is known"))
    parts = [
        (value / whole, look, f"{name}: {visit.numbers.watts(value)}")
        for value, look, name in zip(watts, ("p0", "p1", "p2"), names, strict=True)
    ]
    return {"bar": parts_bar(parts, _("Power now")), "parts": parts, "whole": whole}


def _bars(rows: Sequence[Row], key: str) -> Mapping[str, Any]:
    """Draw each beside the largest."""
    most = max((row[_ENERGY] or 0.0 for row in rows), default=0.0)
    return {row[key]: bar((row[_ENERGY] or 0.0) / most if most else None, "", str(row[key])) for row in rows}


PAGE: Final = WebPage(path="/ui/clusters/{cluster}/energy", template="energy.html", read=read, parameters=OF_LISTS)
