"""What the pages of a user and of an account have in common: jobs, 30 days, limits, storage and graphs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import polars as pl

from aggregator.api.cluster_lists import JOBS_PATH, LISTS_PATH
from aggregator.api.errors import ApiError
from aggregator.api.history import read_groups
from aggregator.api.keys import STORE
from aggregator.api.lists import LISTS, read_page
from aggregator.api.lookup import filesystem_names, find_filesystem, rights_in
from aggregator.api.parameters import Parameters
from aggregator.api.series import Scene, draw_scene
from aggregator.api.series_representation import DrawnGraph
from aggregator.api.storage_lists import GROUPS_PATH, SPACES_PATH
from aggregator.pages.attempt import attempt
from aggregator.pages.chart import Times, Trace, bar, line_chart
from aggregator.pages.figure import Canvas, Figure, added, canvas_of, step_of
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers
from aggregator.pages.render import Visit
from aggregator.sources.base import FetchError

Row = Mapping[str, Any]
Of = Literal["user", "account"]
GRAPHS: Final = ("allocated_cpus", "used_cpus", "allocated_gpus", "used_gpus", "lustre_bandwidth")
_JOBS: Final = 25
_DAY: Final = 86_400.0
_MOST_LIMITS: Final = 100
_FIELDS: Final = (
    "id,user,account,job_name,state,partition,submit_timestamp_seconds,elapsed_seconds,time_limit_used_ratio,"
    "allocated_cpus,allocated_gpus,cpu_efficiency_ratio,memory_efficiency_ratio,gpu_efficiency_ratio,waste"
)
_PATHS: Final = {"user": SPACES_PATH, "account": GROUPS_PATH}
# A group of a file system has the name of an account.
_KEYS: Final = {"user": "user", "account": "group"}


async def read_of(
    visit: Visit, of: Of, name: str, scene: Callable[[], Scene], usage: Awaitable[tuple[Row, list[str]]]
) -> Mapping[str, Any]:
    """Read the parts of a page that may each be missing."""
    now = {"state": "running", "fields": _FIELDS, "sort": "-wasted_gpus,-wasted_cpus", of: name, "limit": str(_JOBS)}
    waiting = {"state": "pending", "fields": _FIELDS, "sort": "submit_timestamp_seconds", of: name, "limit": str(_JOBS)}
    ended = {"start": "now-30d", "group_by": "state", "sort": "-jobs", of: name}
    told = {"group_by": "reason,severity", "sort": "-alerts", of: name, "min_last_notified_timestamp_seconds": "0"}
    jobs = visit.request.app[LISTS][JOBS_PATH]
    running, pending, history, alerts, used, drawn = await asyncio.gather(
        attempt(read_page(visit.request, jobs, now.items())),
        attempt(read_page(visit.request, jobs, waiting.items())),
        attempt(read_groups(visit.request, ended)),
        attempt(read_page(visit.request, visit.request.app[LISTS][f"{LISTS_PATH}alerts"], told.items())),
        attempt(usage), attempt(_draw(visit, scene)),
    )  # fmt: skip
    graphs = drawn.value or {}
    return {
        "running": running.value[0].rows.to_dicts() if running.value else [],
        "running_total": running.value[0].total if running.value else None,
        "pending": pending.value[0].rows.to_dicts() if pending.value else [],
        "pending_total": pending.value[0].total if pending.value else None,
        "history": history.value[0] if history.value else [],
        "alerts": alerts.value[0].rows.to_dicts() if alerts.value else [],
        "storage": _storage_of(visit, of, name),
        "figures": [*_of_now(graphs, visit.language), *_of_days(used.value[0] if used.value else {}, visit.language)],
        "failures": [each.failure for each in (running, pending, history, alerts, used, drawn) if each.failure],
        "missing": [*(history.value[1] if history.value else ()), *(used.value[1] if used.value else ())],
    }


async def _draw(visit: Visit, scene: Callable[[], Scene]) -> Mapping[str, DrawnGraph | FetchError]:
    return await draw_scene(visit.request, scene(), GRAPHS, Parameters(visit.request, {}))


def _of_now(graphs: Mapping[str, DrawnGraph | FetchError], language: Language) -> Iterator[Figure]:
    """Draw the last day: what was held, and in it what was used."""
    canvas = canvas_of((each for each in graphs.values() if isinstance(each, DrawnGraph)), language)
    _ = language
    for title, held, used in (
        (_("CPUs, last day"), "allocated_cpus", "used_cpus"), (_("GPUs, last day"), "allocated_gpus", "used_gpus"),
    ):  # fmt: skip
        figure = canvas and _held_and_used(title, graphs.get(held), graphs.get(used), canvas)
        if figure:
            yield figure


def _held_and_used(
    title: str, held: DrawnGraph | FetchError | None, used: DrawnGraph | FetchError | None, canvas: Canvas
) -> Figure | None:
    _ = canvas.language
    if isinstance(held, FetchError):
        return Figure(title=title, missing=str(held))
    if held is None or not held.lines:
        return None
    traces = [Trace(added(held.lines, lambda line: "all")["all"], "line l3", _("held"))]
    if isinstance(used, DrawnGraph) and used.lines:
        of_use = added(used.lines, lambda line: "all")["all"]
        traces = [Trace(of_use, "area", is_area=True), *traces, Trace(of_use, "line l0", _("used"))]
    note = _("grey line: held; filled: used")
    drawing = canvas.lines(title, note, traces, step_of(held), canvas.numbers.number)
    return Figure(title=title, note=note, drawn=drawing, warnings=held.warnings)


def _of_days(usage: Row, _: Language) -> Iterator[Figure]:
    """Draw what slurmdbd has rolled up, day by day: means of what was held."""
    numbers = Numbers(_)
    for tres, title in (("cpu", _("CPUs held, 30 days")), ("gres/gpu", _("GPUs held, 30 days"))):
        points = usage.get("usage", {}).get(tres, [])
        if not points or not any(point["seconds"] for point in points):
            continue
        edges = [each["start_timestamp_seconds"] for each in points]
        ends = [*edges[1:], usage["end_timestamp_seconds"]]
        steps = [
            (at, point["seconds"] / (after - before))
            for point, before, after in zip(points, edges, ends, strict=True)
            for at in (before, after - 1)
        ]
        times = Times(edges[0], ends[-1], _DAY)
        total = usage["totals"][tres]
        write = numbers.cpu_hours if tres == "cpu" else numbers.gpu_hours
        note = _("mean of each day, as slurmdbd has it; in all %(total)s", total=write(total))
        drawn = line_chart(
            times, [Trace(steps, "area", is_area=True), Trace(steps, "line l0")], label=f"{title}: {note}",
            write=numbers.number, clock=lambda at, with_date: numbers.clock(at, with_date=with_date),
        )  # fmt: skip
        yield Figure(title=title, note=note, drawn=drawn)


def _storage_of(visit: Visit, of: Of, name: str) -> list[Row]:
    """List what a user, or the group of an account's name, has in each file system that can be told about."""
    snapshot, found = visit.request.app[STORE].current, list[Row]()
    each = visit.request.app[LISTS][_PATHS[of]]
    rights = rights_in(visit.request)
    for filesystem in filesystem_names(snapshot):
        try:
            view = find_filesystem(snapshot, filesystem)
        except ApiError:
            continue
        rows = each.things(view, rights, pl.col(_KEYS[of]) == name)
        found += [{"filesystem": filesystem, "bar": quota_bar(row, visit.language), **row} for row in rows]
    return found


def quota_bar(row: Row, language: Language) -> Any:
    """Draw how much of a quota is used."""
    ratio = row["quota_used_ratio_bytes"]
    look = "" if ratio is None or ratio < 0.9 else "warn" if ratio < 1 else "bad"
    name = language("Quota")
    share = language("not known") if ratio is None else Numbers(language).percent(ratio)
    return bar(ratio, look, f"{name}: {share}")


def limits_of(rows: Sequence[Row], language: Language) -> Sequence[Row]:
    """Show limits, the least headroom first; those of which nothing is known last."""
    numbers = Numbers(language)
    found = []
    for row in rows:
        ratio = None if row["used"] is None or not row["value"] else row["used"] / row["value"]
        look = "" if ratio is None or ratio < 0.9 else "warn" if ratio < 1 else "bad"
        words = f"{row['limit']}: {language('not known') if ratio is None else numbers.percent(ratio)}"
        found.append({**row, "ratio": ratio, "bar": bar(ratio, look, words)})
    found.sort(key=lambda row: -1.0 if row["ratio"] is None else row["ratio"], reverse=True)
    return found[:_MOST_LIMITS]
