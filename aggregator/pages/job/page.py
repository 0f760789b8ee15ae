"""GET /ui/clusters/{cluster}/jobs/{job_id}: is this job wasting, why, and what to change."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aggregator.api.explain import read_rules
from aggregator.api.jobs import read_job
from aggregator.api.parameters import Parameters
from aggregator.api.route import Parameter
from aggregator.api.script import read_script, script_json
from aggregator.api.series import draw_job
from aggregator.model.waste import SEVERITIES
from aggregator.pages.attempt import attempt
from aggregator.pages.chart import Mark, dot_chart
from aggregator.pages.figure import Figure
from aggregator.pages.job.amounts import spent, wasted
from aggregator.pages.job.bars import bars_of
from aggregator.pages.job.changes import changes_of
from aggregator.pages.job.charts import GRAPHS, Graphs, busy_gpus, figures_of
from aggregator.pages.job.like import of_same_script, read_like
from aggregator.pages.job.verdict import verdict_of
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit

Row = Mapping[str, Any]
_REFRESH_SECONDS: Final = 30
_MOST_RUNS: Final = 100
# Whose hashes are those of the scripts that the state keeps.
_DELIVERED: Final = "agent"
_START: Final = Parameter(name="start", help="Begin of the charts.", kind="time")
_END: Final = Parameter(name="end", help="End of the charts.", kind="time")


async def read(visit: Visit) -> Mapping[str, Any]:
    """Read all that is known of the newest run, and of the others their names."""
    request, _ = visit.request, visit.language
    data, failed, warnings = await read_job(request)
    *others, run = data["runs"]
    is_zoomed = bool(request.query.keys() & {"start", "end"})
    started = run["start_timestamp_seconds"] is not None
    graphs, script, explained, like = await asyncio.gather(
        attempt(draw_job(request, GRAPHS if started else (), Parameters(request))),
        attempt(read_script(request)), attempt(read_rules(request)), attempt(read_like(request, run)),
    )  # fmt: skip
    drawn, more = graphs.value or ({}, [])
    busy = busy_gpus(drawn if not is_zoomed else await _whole(visit))
    text = script_json(script.value[0], script.value[2]) if script.value else None
    runs = like.value or ()
    if runs and text and text["source"] == _DELIVERED:
        runs = await of_same_script(request, runs, text["sha256"])
    figures = figures_of(run, drawn, _)
    return {
        "run": run,
        "others": others[-_MOST_RUNS:],
        "verdict": verdict_of(run, _),
        "bars": bars_of(run, _),
        "changes": changes_of(run, runs, _text(text), busy, _),
        "figures": [*figures, *_of_like(run, runs, _)],
        "graphs_failure": graphs.failure,
        "spent": spent(run),
        "wasted": wasted(run),
        "rules": explained.value,
        "rules_failure": explained.failure,
        "script": text,
        "script_failure": script.failure,
        "like": list(reversed(runs)),
        "like_failure": like.failure,
        "warnings": [*failed, *more, *warnings],
        "severities": SEVERITIES,
        "refresh": _REFRESH_SECONDS if run["is_open"] else None,
        "charted": bool(figures),
        "is_zoomed": is_zoomed,
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
