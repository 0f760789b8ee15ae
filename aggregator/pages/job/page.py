"""GET /ui/clusters/{cluster}/jobs/{job_id}: is this job wasting, why, and what to change."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aggregator.api.explain import read_rules
from aggregator.api.jobs import read_job
from aggregator.api.parameters import Parameters
from aggregator.api.route import Parameter
from aggregator.api.script import read_script, script_json
from aggregator.api.series import draw_job
from aggregator.api.series_representation import DrawnGraph
from aggregator.pages.attempt import Tried, attempt
from aggregator.pages.chart import Mark, dot_chart
from aggregator.pages.figure import Figure
from aggregator.pages.job.amounts import spent, wasted
from aggregator.pages.job.bars import asked_for, bars_of
from aggregator.pages.job.changes import changes_of
from aggregator.pages.job.charts import Graphs, busy_gpus, figures_of, graphs_of
from aggregator.pages.job.like import of_same_script, read_like
from aggregator.pages.job.verdict import verdict_of
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit
from aggregator.sources.base import FetchError

Row = Mapping[str, Any]
_REFRESH_SECONDS: Final = 30
_MOST_RUNS: Final = 100
# Whose hashes are those of the scripts that the state keeps.
_DELIVERED: Final = "agent"
_START: Final = Parameter(name="start", help="Begin of the charts.", kind="time")
_END: Final = Parameter(name="end", help="End of the charts.", kind="time")


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read all that is known of the newest run, and of the others their names."""
    data, failed, warnings = await read_job(visit.request)
    *others, run = data["runs"]
    parts = await _read_parts(visit, run)
    drawn, more = parts.graphs.value or ({}, [])
    figures = figures_of(run, drawn, visit.language)
    return {
        **_said(visit, run, parts),
        "run": run,
        "others": others[-_MOST_RUNS:],
        "figures": [*figures, *_of_like(run, parts.runs, visit.language)],
        "graphs_failure": parts.graphs.failure,
        "rules": parts.rules.value,
        "rules_failure": parts.rules.failure,
        "script": parts.script.value,
        "script_failure": parts.script.failure,
        "like": list(reversed(parts.runs)),
        "like_failure": parts.like.failure,
        "warnings": [*failed, *more, *warnings],
        "refresh": _REFRESH_SECONDS if run["is_open"] else None,
        "charted": bool(figures),
        "is_zoomed": parts.is_zoomed,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is read beside the answer about the job: each may be missing. runs are the like ones of the same script."""

    graphs: Tried[tuple[dict[str, DrawnGraph | FetchError], list[str]]]
    script: Tried[Row]
    rules: Tried[list[dict[str, Any]]]
    like: Tried[Sequence[Row]]
    runs: Sequence[Row]
    busy_gpus: int | None
    is_zoomed: bool


async def _read_parts(visit: Visit, run: Row) -> _Parts:
    request = visit.request
    wanted = graphs_of(run) if run["start_timestamp_seconds"] is not None else ()
    graphs, script, rules, like = await asyncio.gather(
        attempt(draw_job(request, wanted, Parameters(request))), _script(visit, run),
        attempt(read_rules(request)), attempt(read_like(request, run)),
    )  # fmt: skip
    runs = like.value or ()
    if runs and script.value and script.value["source"] == _DELIVERED:
        runs = await of_same_script(request, runs, script.value["sha256"])
    is_zoomed = bool(request.query.keys() & {"start", "end"})
    drawn = await _whole(visit) if is_zoomed else graphs.value[0] if graphs.value else {}
    return _Parts(
        graphs=graphs, script=script, rules=rules, like=like, runs=runs, busy_gpus=busy_gpus(drawn),
        is_zoomed=is_zoomed,
    )  # fmt: skip


async def _script(visit: Visit, run: Row) -> Tried[Row]:
    """Read the script of the run, for those who may see it."""
    if not visit.is_staff and visit.identity.user != run["user"]:
        return Tried(None, visit.language("Only its owner and the staff may see it."))
    found = await attempt(read_script(visit.request))
    return Tried(script_json(found.value[0], found.value[2]) if found.value else None, found.failure)


def _said(visit: Visit, run: Row, parts: _Parts) -> Mapping[str, Any]:
    """Say what there is to say of the run, first of all its verdict."""
    _ = visit.language
    return {
        "verdict": verdict_of(run, _),
        "bars": bars_of(run, _),
        "asked": asked_for(run, _) if run["state"] == "pending" else (),
        "changes": changes_of(run, parts.runs, _text(parts.script.value), parts.busy_gpus, _),
        "spent": spent(run),
        "wasted": wasted(run),
    }


async def _whole(visit: Visit) -> Graphs:
    """Draw what GPUs were used over the whole run, when a part of it is shown."""
    whole = await attempt(draw_job(visit.request, ("gpu_utilization",), Parameters(visit.request, {})))
    return whole.value[0] if whole.value else {}


def _text(script: Row | None) -> str:
    return script["script"] if script and script["encoding"] == "utf-8" else ""


def _of_like(run: Row, like: Sequence[Row], _: Language) -> list[Figure]:
    """Draw the like runs as dots: of GPUs where the run has some, else of CPUs."""
    field = "gpu_efficiency_ratio" if run["granted_gpus"] else "cpu_efficiency_ratio"
    known = [each for each in like if each[field] is not None]
    if not known:
        return []
    numbers = Numbers(_)
    marks = [Mark(each[field], f"{each['job_id']}: {numbers.percent(each[field])}") for each in known]
    if run[field] is not None:
        marks.append(Mark(run[field], _("this run: %(share)s", share=numbers.percent(run[field])), is_this=True))
    what = _("GPU time used ÷ held") if run["granted_gpus"] else _("CPU time used ÷ held")
    note = _.ngettext(
        "%(what)s in the last run of this name; this one is marked",
        "%(what)s in the last %(n)s runs of this name; this one is marked", len(known), what=what,
    )  # fmt: skip
    title = _("Like runs")
    drawn = dot_chart(marks, label=f"{title}: {note}", write=numbers.percent, ends=(_("older"), _("now")))
    return [Figure(title=title, note=note, drawn=drawn)]


PAGE: Final = WebPage(
    path="/ui/clusters/{cluster}/jobs/{job_id}", template="job.html", read=read, parameters=(_START, _END)
)
