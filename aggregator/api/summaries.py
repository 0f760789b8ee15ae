"""GET …/users/{user}/jobs/summary and …/accounts/{account}/jobs/summary: what ended runs add up to."""

import math
from typing import Final

from aiohttp import web

from aggregator import executors
from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import NotFound
from aggregator.api.history import find_ended, read_window
from aggregator.api.keys import CLOCK
from aggregator.api.lookup import find_seen_cluster, replica_warnings
from aggregator.api.parameters import Parameters
from aggregator.api.recorded import read_use
from aggregator.api.representation import Json, times
from aggregator.api.selection import JobFilter
from aggregator.api.visibility import Rights, is_account, with_children
from aggregator.model.history import Known, RunsSummary
from aggregator.model.view import ClusterView
from aggregator.parts.jobs.history import summarize
from aggregator.queries.history import SUMMARY_ROWS

_SHOWN: Final = 100
_KEPT: Final = "Prometheus while the runs ran, as kept in the state"
_EVERYTHING: Final = Rights(everything=True)


async def get_user_summary(request: web.Request) -> web.Response:
    """Answer with what a user's finished runs of a time add up to, as far as they may be seen."""
    view, rights = find_seen_cluster(request)
    name = request.match_info["user"]
    data, warnings = await _summary(request, view, JobFilter(users=frozenset({name})), rights)
    known = name == rights.user or (rights.everything and name in view.frames["user_associations"]["user"])
    if not data["runs"] and not known:
        raise NotFound(f'user "{name[:_SHOWN]}": no finished run of that time on cluster "{view.cluster}"')
    audit(request, (name,))
    return success(request, {"user": name, **data}, warnings)


async def get_account_summary(request: web.Request) -> web.Response:
    """Answer with what an account's finished runs of a time add up to, to whoever sees the account's sums.

    Who sees the accounts below it has their runs in it too.
    """
    view, rights = find_seen_cluster(request)
    name = request.match_info["account"]
    if not is_account(view, name) or not rights.sees_sums(name):
        raise NotFound(f'account "{name[:_SHOWN]}": not known on cluster "{view.cluster}"')
    accounts = frozenset({name})
    with_below = rights.everything or name in rights.accounts
    if with_below:
        accounts = with_children(accounts, view)
    data, warnings = await _summary(request, view, JobFilter(accounts=accounts), _EVERYTHING)
    return success(request, {"account": name, "with_children": with_below, **data}, warnings)


async def _summary(
    request: web.Request, view: ClusterView, wanted: JobFilter, rights: Rights
) -> tuple[Json, list[str]]:
    """Add up the newest runs of the window that the request names, within the bound on rows."""
    window = read_window(Parameters(request), request.app[CLOCK]())
    page = await find_ended(request, view, window, wanted, rights, None, SUMMARY_ROWS, rows=SUMMARY_ROWS)
    kept, warnings = await read_use(request, view.cluster, page.runs)
    warnings = [*warnings, *replica_warnings(request, view.cluster)]
    if page.last is not None:
        warnings.append(f"truncated: the newest {page.runs.height} runs; {page.examined} rows were examined")
    data = {
        **summary_json(await executors.run(executors.ANSWERS, summarize, page.runs, kept)),
        "event": window.event,
        **times("since", window.since),
        **times("until", window.until),
        "truncated": page.last is not None,
        **times("oldest_end", min(page.runs["end"], default=None)),
    }
    return data, warnings


def summary_json(summary: RunsSummary) -> Json:
    """Show ended runs added up."""
    return {
        "runs": summary.runs,
        "states": dict(summary.states),
        "started": summary.started,
        "wait_seconds": [{"quantile": quantile, "value": wait} for quantile, wait in summary.wait_seconds.items()],
        "time_limit_used": [
            {"le": edge if math.isfinite(edge) else None, "count": count}
            for edge, count in summary.time_limit_used.items()
        ],
        "efficiency": {
            "cpu": _known(summary.cpu_efficiency, "ratio"),
            "memory": _known(summary.memory_efficiency, "ratio"),
        },
        "wasted": {
            "cpu_seconds": _known(summary.wasted_cpu_seconds, "seconds"),
            "gpu_seconds": _known(summary.wasted_gpu_seconds, "seconds"),
        },
    }


def _known(known: Known | None, unit: str) -> Json | None:
    return None if known is None else {"value": known.value, "unit": unit, "coverage": known.coverage, "source": _KEPT}
