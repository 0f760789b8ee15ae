"""GET …/usage of a cluster, of an account and all below it, and of a user: history by hour, day or month."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypedDict

from aiohttp import web

from aggregator.api.answer import Epoch, Period, Time
from aggregator.api.audit import audit
from aggregator.api.envelope import success
from aggregator.api.errors import BadData, Execution, NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.keys import CLOCK, STORE, USAGE
from aggregator.api.lookup import find_seen_cluster, replica_warnings
from aggregator.api.parameters import Parameters
from aggregator.api.representation import Json, times
from aggregator.api.visibility import Rights
from aggregator.model.calendar import DAY, HOUR, RESOLUTIONS, Calendar, Resolution
from aggregator.model.moment import rfc3339
from aggregator.model.usage import UsageCatalog, is_of_jobs, unit_of
from aggregator.model.view import ClusterView
from aggregator.queries.usage import History, NoUsage, Owners, UsageSpan
from aggregator.queries.usage_points import Point, with_below

MAX_POINTS: Final = 11_000
_DEFAULT_SECONDS = 30 * DAY
_LENGTHS: Mapping[Resolution, float] = {"hour": HOUR, "day": DAY, "month": 28 * DAY}
_SHOWN = 100


class TimeZoneShown(TypedDict):
    """The zone of slurmdbd, and how it is known."""

    name: str
    origin: str


class PointShown(TypedDict):
    """What was used in one period; of a cluster by state."""

    start_time: Time
    start_timestamp_seconds: Epoch
    seconds: float | dict[str, float]
    unit: str
    final: bool


class UsageShown(Period):
    """What was used in a time."""

    cluster: str
    resolution: str
    time_zone: TimeZoneShown
    rolled_until_time: Time
    rolled_until_timestamp_seconds: Epoch
    partial: bool
    partial_from_time: Time
    partial_from_timestamp_seconds: Epoch
    usage: dict[str, list[PointShown]]
    totals: dict[str, float | dict[str, float | None] | None]


class AccountUsageShown(UsageShown):
    """The same of an account."""

    account: str


class UserUsageShown(UsageShown):
    """The same of a user."""

    user: str
    accounts: list[str]


async def get_account_usage(request: web.Request) -> web.Response:
    """Answer with the usage of an account and all below it."""
    return success(request, *await read_account_usage(request, Parameters(request)))


async def read_account_usage(request: web.Request, asked: Parameters) -> tuple[Json, list[str]]:
    """Read what is answered of the account in the path, and what is missing.

    Raises ApiError, FetchError.
    """
    view, rights, catalog = await _look(request)
    account = request.match_info["account"]
    if account not in catalog.parents or not rights.sees_sums(account):
        raise NotFound(f'account "{account[:_SHOWN]}": not known on cluster "{view.cluster}"')
    below = with_below(account, catalog.parents)
    pairs = frozenset(names for names in catalog.associations.values() if names[1] in below)
    return await _of(request, asked, view, catalog, pairs, {"account": account})


async def get_user_usage(request: web.Request) -> web.Response:
    """Answer with the usage of a user under the accounts that are asked for, or under all; those that may be seen."""
    return success(request, *await read_user_usage(request, Parameters(request)))


async def read_user_usage(request: web.Request, asked: Parameters) -> tuple[Json, list[str]]:
    """Read what is answered of the user in the path, and what is missing.

    Raises ApiError, FetchError.
    """
    accounts = asked.many("account")
    view, rights, catalog = await _look(request)
    user = request.match_info["user"]
    pairs = frozenset(
        (name, account)
        for name, account in catalog.associations.values()
        if name == user and (not accounts or account in accounts) and rights.sees_sums(account, name)
    )
    if not pairs:
        under = f" under {', '.join(sorted(accounts))[:_SHOWN]}" if accounts else ""
        raise NotFound(f'user "{user[:_SHOWN]}": not known{under} on cluster "{view.cluster}"')
    audit(request, (user,))
    shown = {"user": user, "accounts": sorted(account for _, account in pairs)}
    return await _of(request, asked, view, catalog, pairs, shown)


async def get_cluster_usage(request: web.Request) -> web.Response:
    """Answer with how the capacity of the whole cluster was spent."""
    return success(request, *await read_cluster_usage(request, Parameters(request)))


async def read_cluster_usage(request: web.Request, asked: Parameters) -> tuple[Json, list[str]]:
    """Read what is answered of the cluster in the path, and what is missing.

    Raises ApiError, FetchError.
    """
    view, _, catalog = await _look(request)
    span = _span(asked, catalog, request.app[CLOCK]())
    history, found = await request.app[USAGE].of_cluster(view.cluster, span)
    data = {
        "cluster": view.cluster,
        **_span_json(span, history, catalog),
        "usage": {tres: _states_json(tres, states) for tres, states in found.items()},
        "totals": {tres: {state: _total(points) for state, points in of.items()} for tres, of in found.items()},
    }
    return data, _warnings(request, view, span, history, catalog)


async def _of(
    request: web.Request,
    asked: Parameters,
    view: ClusterView,
    catalog: UsageCatalog,
    pairs: frozenset[tuple[str, str]],
    shown: Json,
) -> tuple[Json, list[str]]:
    span = _span(asked, catalog, request.app[CLOCK]())
    owners = Owners(of=pairs, qos=_qos(asked, catalog))
    history = await request.app[USAGE].of(view.cluster, owners, span, view.runs)
    data = {
        "cluster": view.cluster,
        **shown,
        **_span_json(span, history, catalog),
        "usage": {tres: [_point_json(tres, point) for point in found] for tres, found in history.points.items()},
        "totals": {tres: _total(found) for tres, found in history.points.items()},
    }
    return data, _warnings(request, view, span, history, catalog)


async def _look(request: web.Request) -> tuple[ClusterView, Rights, UsageCatalog]:
    """Find the cluster, what may be seen of it, and what its usage refers to.

    Raises NotFound, Unavailable, and Execution where slurmdbd's tables are not offered.
    """
    view, rights = find_seen_cluster(request)
    try:
        return view, rights, await request.app[USAGE].catalog(view.cluster)
    except NoUsage as error:
        raise Execution(str(error)) from error


def _span(asked: Parameters, catalog: UsageCatalog, now: float) -> UsageSpan:
    """Read what is asked for, in whole periods of slurmdbd's clock.

    Raises BadData that names the parameter.
    """
    calendar = catalog.calendar
    tres, end = _tres(asked, catalog), asked.time("end")
    end = now if end is None else min(end, calendar.following(now, "month"))
    start = asked.time("start")
    start = max(0.0, end - _DEFAULT_SECONDS) if start is None else start
    if start >= end:
        raise BadData(f"start: must be before end, and in the past, got {rfc3339(start) or start}")
    resolution = _resolution(asked, calendar, start, end, now, len(tres))
    begin = calendar.floor(start, resolution)
    return UsageSpan(tres=tres, begin=begin, end=calendar.ceil(end, resolution), resolution=resolution, now=now)


def _tres(asked: Parameters, catalog: UsageCatalog) -> tuple[str, ...]:
    known = frozenset(catalog.tres.values())
    wanted = asked.many("tres")
    for name in sorted(wanted - known):
        raise BadData(f'tres: must be one of {", ".join(sorted(known))}, got "{name[:_SHOWN]}"')
    return tuple(sorted(wanted or filter(is_of_jobs, known)))


def _qos(asked: Parameters, catalog: UsageCatalog) -> Mapping[int, str]:
    wanted = asked.many("qos")
    if wanted and catalog.qos is None:
        raise BadData("qos: slurmdbd rolls usage up by QOS from Slurm 24.11 on only, and the tables must be granted")
    known = {name: qos_id for qos_id, name in (catalog.qos or {}).items()}
    for name in sorted(wanted - known.keys()):
        raise BadData(f'qos: must be one of {", ".join(sorted(known))}, got "{name[:_SHOWN]}"')
    return {known[name]: name for name in sorted(wanted)}


def _resolution(asked: Parameters, calendar: Calendar, start: float, end: float, now: float, tres: int) -> Resolution:
    """Read the resolution, else choose by the bounds as sreport does, and a coarser one for too many points."""
    text = asked.choice("resolution", frozenset(RESOLUTIONS))
    possible = [name for name in RESOLUTIONS if text in (None, name)]
    fitting = [name for name in possible if (end - start) / _LENGTHS[name] * tres <= MAX_POINTS]
    if not fitting:
        raise BadData(f"resolution: more than {MAX_POINTS} points; ask for less time, fewer TRES or a coarser one")
    if text is None and end <= now:
        for name in ("month", "day"):
            if calendar.fits(name, start) and calendar.fits(name, end):
                return name
    return fitting[0]


def _span_json(span: UsageSpan, history: History, catalog: UsageCatalog) -> Json:
    calendar = catalog.calendar
    return {
        "resolution": span.resolution,
        "time_zone": {"name": calendar.name, "origin": calendar.origin},
        **times("start", span.begin),
        **times("end", span.end),
        **times("rolled_until", history.rolled.hour or None),
        "partial": history.partial_from is not None,
        **times("partial_from", history.partial_from),
    }


def _point_json(tres: str, point: Point) -> Json:
    return {**times("start", point.start), "seconds": point.seconds, "unit": unit_of(tres), "final": point.final}


def _states_json(tres: str, states: Mapping[str, Sequence[Point]]) -> list[Json]:
    """Put the states of each period side by side."""
    of_state = {state: {point.start: point.seconds for point in found} for state, found in states.items()}
    return [
        {**_point_json(tres, point), "seconds": {state: found[point.start] for state, found in of_state.items()}}
        for point in states["allocated"]
    ]


def _total(points: Iterable[Point]) -> float | None:
    """Add up; of nothing known nothing is known."""
    known = [point.seconds for point in points]
    return sum(known) if known else None


def _warnings(
    request: web.Request, view: ClusterView, span: UsageSpan, history: History, catalog: UsageCatalog
) -> list[str]:
    """Say what an answer lacks: before the first roll-up, since the last one, and of sources that failed."""
    found = list(history.warnings)
    first = catalog.first.get(span.resolution, catalog.first.get("hour"))
    if first is None:
        found.append("slurmdbd has not rolled up anything yet")
    elif span.begin < first:
        found.append(f"slurmdbd keeps no roll-ups from before {rfc3339(first)}")
    if history.partial_from is not None and not history.has_tail:
        found.append(f"not rolled up since {rfc3339(history.partial_from)}: what came later is missing")
    found += replica_warnings(request, view.cluster)
    return [*found, *source_warnings(request.app[STORE].current, view.cluster)]
