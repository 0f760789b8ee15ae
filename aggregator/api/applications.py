"""GET /api/v1/clusters/{cluster}/applications: what software the jobs of a cluster run."""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple, TypedDict

from aiohttp import web

from aggregator.api.answer import Period
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, NotFound
from aggregator.api.keys import CLOCK, SERIES, SETTINGS, STORE
from aggregator.api.lookup import find_cluster
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json, times
from aggregator.join.software import shares_of
from aggregator.model.series import Span, Subject
from aggregator.model.software import Shares
from aggregator.queries.series import plan

_DEFAULT_SECONDS: Final = 6 * 3600.0
_MOST_SECONDS: Final = 31 * 86_400.0
# The time of many executables: a mean needs no more points.
_POINTS: Final = 72
_FINEST: Final = 300.0


class ShareShown(TypedDict):
    """What one software has of the whole."""

    software: str
    directory: str | None
    value: float
    ratio: float | None


class ApplicationsShown(Period):
    """What each software has, and what no executable accounts for."""

    of: str
    unit: str
    queries: list[str]
    step_seconds: float
    measured: float | None
    software: list[ShareShown]
    unaccounted: float | None


class _Resource(NamedTuple):
    """What is shared out: the graph of the executables, and that of the whole."""

    executables: str
    whole: str
    unit: str


_RESOURCES: Final[Mapping[str, _Resource]] = {
    "cpus": _Resource("executables", "used_cpus", "cpus"),
    "gpus": _Resource("gpu_executables", "allocated_gpus", "gpus"),
}


async def list_applications(request: web.Request) -> web.Response:
    """Answer with the CPUs, or GPUs, of each software on average, and with what no executable accounts for."""
    asked = Parameters(request)
    view = find_cluster(request.app[STORE].current, request.match_info["cluster"])
    of = asked.choice("of", frozenset(_RESOURCES)) or "cpus"
    resource, span, series = _RESOURCES[of], _span(request, asked), request.app[SERIES]
    if resource.executables not in series.available(view.cluster, "software"):
        raise NotFound(f"applications: clusters.{view.cluster}.exporters.slurm_job_exporter is not configured")
    parts = await series.read(view.cluster, "software", resource.executables, Subject(), span)
    whole = await series.read(view.cluster, "cluster", resource.whole, Subject(), span)
    shares = shares_of(parts.lines, whole.lines, request.app[SETTINGS].software)
    data = {
        "of": of, "unit": resource.unit, "queries": [*parts.queries, *whole.queries], "step_seconds": span.step,
        **times("start", span.start), **times("end", span.end), **_json(shares),
    }  # fmt: skip
    dropped = {**parts.rejected, **whole.rejected}
    return success(request, data, [f"{count} values dropped: {reason}" for reason, count in sorted(dropped.items())])


def _span(request: web.Request, asked: Parameters) -> Span:
    """Read the range, the last six hours by default, in steps that are coarse enough.

    Raises BadData that names the parameter.
    """
    start, end = asked.time("start"), asked.time("end")
    end = request.app[CLOCK]() if end is None else end
    start = end - _DEFAULT_SECONDS if start is None else start
    if not 0 <= end - start <= _MOST_SECONDS:
        raise BadData(f"start: must be at most {_MOST_SECONDS / 86_400:.0f} days before end, and not after it")
    return plan(start, end, None, max(_FINEST, math.ceil((end - start) / _POINTS)))


def _json(shares: Shares) -> Json:
    measured = shares.measured
    return {
        "measured": measured,
        "software": [
            {
                "software": share.software,
                "directory": share.directory or None,
                "value": share.value,
                "ratio": share.value / measured if measured else None,
            }
            for share in shares.shares
        ],
        "unaccounted": shares.unaccounted,
    }
