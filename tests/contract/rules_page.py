"""docs/rules-reference.md, written from rules/."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from aggregator.app.layouts import BY_NAME
from tests.rules.files import ROOT, alerts, rule_files

_HEAD = """# Rules reference

This page is generated from `rules/` (`pytest tests/contract --update-golden` writes it anew; a test compares them). It
lists every alert and every recorded series. [rules.md](rules.md) says how to load the rules.

## Alerts

In the texts a word in italics stands for a label of the alert, and *value* for its number. If there are two
severities, the [runbook](runbook.md) says when each one fires.

| alert | severity | for | team | what it says | runbook |
|---|---|---|---|---|---|"""
# The severities of the alerts on jobs are those of the series.
_OF_THE_SERIES = ("warning", "critical")
_TABLE = "\n| series | meaning | labels |\n|---|---|---|"
_FILES = {
    "slurm_job.yml": """Sums of slurm-job-exporter's series, which job portals read.

- Allocated means shown by an exporter: a job without a process, or on a node whose exporter is down, is not counted.
  `hpc_account_allocated_cpus` and `hpc_account_allocated_gpus` count what Slurm says.
- Power is in milliwatts.
- The newest portal expects the label `gpu_type` on `slurm_job:used_gpu:sum_user_account`,
  `slurm_job:non_idle_gpu:sum_user_account` and both `slurm_job:power_gpu:…`. Add it if your portal asks for it.
- On a cgroup v1 node without memory limits the exporter shows 9.2e18 bytes, which `slurm_job:allocated_memory:…` add.
- `slurm_job:process_usage:sum_account` is for the newest portal only. It lacks programs with less than 60 s of CPU
  time.""",
    "lustre.yml": "Rates of the series of lustre_exporter and lustre_exporter_slurm, which job portals read.",
    "hpc_inputs.yml": "What the service asks at every refresh: [when it is used](rules.md#recorded-inputs).",
    "hpc.yml": "The service's gauges, in which its [replicas](rules.md#replicas) count once. The alerts read them. Of "
    "waste, what its counters count in an hour.",
}  # fmt: skip
_MEANINGS = {
    "slurm_job:allocated_core:count": "Cores that have a series.",
    "slurm_job:used_core:sum": "Busy cores, over 2 min.",
    "slurm_job:allocated_memory:sum": "Memory limits, bytes.",
    "slurm_job:rss_memory:sum": "Anonymous memory and swap cache, bytes.",
    "slurm_job:max_memory:sum": "Peak memory with page cache, bytes.",
    "slurm_job:allocated_gpu:count": "GPUs that have a series.",
    "slurm_job:used_gpu:sum": "Sum of GPU utilization, GPUs.",
    "slurm_job:non_idle_gpu:sum": "GPUs with a utilization above 0; no series where there is none.",
    "slurm_job:power_gpu:sum": "Power of GPUs, milliwatts.",
    "slurm_job:process_usage:sum_account": "Busy cores by program (`bin`), over 1 min.",
    "lustre:read_bytes:rate3m": "Bytes per second read from OSTs.",
    "lustre:write_bytes:rate3m": "Bytes per second written to OSTs.",
    "lustre:metadata:rate3m": "Operations per second on MDTs.",
    "lustre:read_bytes:rate3m_user": "Bytes per second read by jobs.",
    "lustre:write_bytes:rate3m_user": "Bytes per second written by jobs.",
    "lustre:metadata:rate3m_user": "Operations per second of jobs, on MDTs and OSTs.",
    "job_node:slurm_job_core_usage:deriv2m": "CPU time of a job on a node over 2 min, nanoseconds per second.",
    "hpc:user_waste_jobs:by_reason": "`hpc_user_waste_jobs`, added up over accounts and severities in each replica.",
}
_OF_AN_HOUR = ":increase1h"
_BY = re.compile(r"(?:sum|count) by \(([^)]*)\)")
_TEMPLATE = re.compile(r"\{\{ (.*?) \}\}")


def rules_page() -> str:
    """Write the whole page."""
    return "\n".join((_HEAD, *_alerts(), *_recorded())).rstrip() + "\n"


def meaning_of(record: str) -> str:
    """Say what a recorded series is; raise KeyError where nobody has written it."""
    family = record.replace(":", "_", 1)
    if family in BY_NAME:
        return f"[`{family}`](metrics.md) without replicas."
    counter = f"{family.removesuffix(_OF_AN_HOUR)}_total"
    if family.endswith(_OF_AN_HOUR) and counter in BY_NAME:
        return f"What [`{counter}`](metrics.md) has counted in the last hour."
    return _MEANINGS[record] if record in _MEANINGS else _MEANINGS[record.removesuffix("_user_account")]


def text_of(template: str) -> str:
    """Write an alert's text with names for what Prometheus puts in; of labels side by side an alert has one.

    What comes before the text finds values for its names.
    """
    text = _TEMPLATE.sub(lambda found: f"*{_name(found[1])}*", template.rpartition("-}} ")[2])
    return text.replace("**", "* or *")


def _name(expression: str) -> str:
    return expression.split(" | ", maxsplit=1)[0].removeprefix("$labels.").removeprefix("$")


def _alerts() -> Iterator[str]:
    """Give a row for each alert: rules of one name that differ in their severity alone are one."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for rule in alerts():
        labels, texts = rule["labels"], rule["annotations"]
        row = (rule["alert"], rule["for"], labels["team"], text_of(texts["summary"]), texts["runbook_url"])
        rows.setdefault(row, []).extend([labels["severity"]] if "severity" in labels else _OF_THE_SERIES)
    for (alert, hold, team, text, url), severities in rows.items():
        _, _, anchor = url.partition("#")
        yield f"| `{alert}` | {', '.join(severities)} | {hold} | {team} | {text} | [what to do](runbook.md#{anchor}) |"


def _recorded() -> Iterator[str]:
    for path in rule_files("recording"):
        yield f"\n## {path.relative_to(ROOT)}\n\n{_FILES[path.name]}\n{_TABLE}"
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (_row(rule) for rule in group["rules"])


def _row(rule: dict[str, Any]) -> str:
    record = rule["record"]
    kept = _BY.match(rule["expr"])
    labels = kept[1] if kept else "all but " + ", ".join(re.findall(r"without \(([^)]*)\)", rule["expr"]))
    return f"| `{record}` | {meaning_of(record)} | {labels} |"
