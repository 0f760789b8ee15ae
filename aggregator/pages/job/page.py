"""GET /ui/clusters/{cluster}/jobs/{job_id}: is this job wasting, why, and what to change."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aggregator.api.advice import read_advice
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
from aggregator.pages.job.bars import bars_of
from aggregator.pages.job.changes import why_of
from aggregator.pages.job.charts import GRAPHS, figures_of
from aggregator.pages.job.verdict import verdict_of
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit
from aggregator.sources.base import FetchError

Row = Mapping[str, Any]
_REFRESH_SECONDS: Final = 30
_MOST_RUNS: Final = 100
_START: Final = Parameter(name="start", help="Begin of the charts.", kind="time")
_END: Final = Parameter(name="end", help="End of the charts.", kind="time")


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read all that is known of the newest run, and of the others their names."""
    data, failed, warnings = await read_job(visit.request)
    *others, run = data["runs"]
    parts = await _read_parts(visit, run)
    drawn, more = parts.graphs.value or ({}, [])
    advice, missing = parts.advice.value or (None, [])
    figures, like = figures_of(run, drawn, visit.language), advice["similar_runs"] if advice else []
    return {
        **_said(run, advice, visit.language),
        "run": run,
        "others": others[-_MOST_RUNS:],
        "figures": [*figures, *_of_like(run, like[::-1], visit.language)],
        "graphs_failure": parts.graphs.failure,
        "rules": parts.rules.value,
        "rules_failure": parts.rules.failure,
        "script": parts.script.value,
        "script_failure": parts.script.failure,
        "like": like,
        "like_failure": parts.advice.failure,
        "warnings": [*failed, *missing, *more, *warnings],
        "refresh": _REFRESH_SECONDS if run["is_open"] else None,
        "charted": bool(figures),
        "is_zoomed": bool(visit.request.query.keys() & {"start", "end"}),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is read beside the answer about the job: each may be missing."""

    graphs: Tried[tuple[dict[str, DrawnGraph | FetchError], list[str]]]
    script: Tried[Row]
    rules: Tried[list[dict[str, Any]]]
    advice: Tried[tuple[dict[str, Any], list[str]]]


async def _read_parts(visit: Visit, run: Row) -> _Parts:
    request = visit.request
    wanted = GRAPHS if run["start_timestamp_seconds"] is not None else ()
    graphs, script, rules, advice = await asyncio.gather(
        attempt(draw_job(request, wanted, Parameters(request))), _script(visit, run),
        attempt(read_rules(request)), attempt(read_advice(request, run)),
    )  # fmt: skip
    return _Parts(graphs=graphs, script=script, rules=rules, advice=advice)


async def _script(visit: Visit, run: Row) -> Tried[Row]:
    """Read the script of the run, for those who may see it."""
    if not visit.is_staff and visit.identity.user != run["user"]:
        return Tried(None, visit.language("Only its owner and the staff may see it."))
    found = await attempt(read_script(visit.request))
    return Tried(script_json(found.value[0], found.value[2]) if found.value else None, found.failure)


def _said(run: Row, advice: Row | None, _: Language) -> Mapping[str, Any]:
    """Say what there is to say of the run, first of all its verdict."""
    return {
        "verdict": verdict_of(run, _),
        "bars": bars_of(run, _),
        "changes": advice["changes"] if advice else (),
        "why": why_of(advice, _) if advice else (),
        "spent": spent(run),
        "wasted": wasted(run),
    }


def _of_like(run: Row, like: Sequence[Row], _: Language) -> list[Figure]:
    """Draw the like runs as dots: of GPUs where the run has some, else of CPUs."""
    field = "gpu_efficiency_ratio" if run["granted_gpus"] else "cpu_efficiency_ratio"
    known = [each for each in like if each[field] is not None]
    if not known:
        return []
    numbers = Numbers(_)
    marks = [Mark(each[field], f"{each['id']}: {numbers.percent(each[field])}") for each in known]
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
