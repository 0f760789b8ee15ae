"""What a run holds beside what it has used of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from aggregator.pages.chart import bar
from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers, plain

Row = Mapping[str, Any]
_LOOKS: Final = {"critical": "bad", "warning": "warn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One resource: its name, what was used and held, their ratio, how much of it was observed, and how it looks."""

    name: str
    used: str
    held: str
    share: str
    covered: str
    look: str
    drawn: Markup


def bars_of(run: Row, language: Language) -> Sequence[Bar]:
    """Give the bars of a run: means since its start, of memory the peak."""
    return list(_bars(run, Numbers(language)))


def asked_for(run: Row, language: Language) -> Sequence[tuple[str, str]]:
    """Give what a run that waits asks for: names and amounts, for an array those of each task."""
    _, numbers = language, Numbers(language)
    gpus = [f"{each['count']} {each['gpu_type']}".rstrip() for each in run["requested_gpus_by_type"] or ()]
    limit = run["time_limit_seconds"]
    return [
        *([(_("Tasks that wait"), numbers.count(run["pending_tasks"]))] if run["pending_tasks"] else []),
        *([(_("GPUs"), ", ".join(gpus))] if gpus else []),
        (_("CPUs"), numbers.count(run["requested_cpus"])),
        (_("Memory"), numbers.size(run["requested_memory_bytes"])),
        (_("Nodes"), numbers.count(run["requested_nodes"])),
        (_("Time"), _("no limit") if limit is None else numbers.duration(limit)),
    ]


def _bars(run: Row, numbers: Numbers) -> Iterator[Bar]:
    _, coverage = numbers.language, run["coverage"]
    if run["granted_gpus"]:
        yield _counted(run, "gpu", _("GPUs"), run["granted_gpus"], run["gpu_efficiency_ratio"], numbers)
    yield _counted(run, "cpu", _("CPUs"), run["granted_cpus"], run["cpu_efficiency_ratio"], numbers)
    memory, held = run["memory_efficiency_ratio"], run["granted_memory_bytes"]
    used = run["memory_peak_bytes"] if run["memory_peak_bytes"] is not None else _times(memory, held)
    yield _bar(run, "memory", _("Memory"), numbers.size(used), numbers.size(held), memory, coverage["memory"], numbers)
    time = run["time_limit_used_ratio"]
    limit = run["time_limit_seconds"]
    given = _("no limit") if limit is None else numbers.duration(limit)
    yield _bar(run, "", _("Time"), numbers.duration(run["elapsed_seconds"]), given, time, None, numbers)


def _times(ratio: float | None, held: float | None) -> float | None:
    return None if ratio is None or held is None else ratio * held


def _counted(run: Row, resource: str, name: str, held: float, ratio: float | None, numbers: Numbers) -> Bar:
    used = numbers.number(_times(ratio, held))
    return _bar(run, resource, name, used, numbers.count(held), ratio, run["coverage"][resource], numbers)


def _bar(
    run: Row, resource: str, name: str, used: str, held: str, ratio: float | None, covered: float | None,
    numbers: Numbers,
) -> Bar:  # fmt: skip
    look = next((_LOOKS.get(each["severity"], "") for each in run["waste"] if each["resource"] == resource), "")
    share = numbers.percent(ratio)
    return Bar(
        name=name, used=used, held=held, share=share, look=look,
        covered="" if covered is None else numbers.percent(covered),
        drawn=bar(ratio, look, f"{name}: {plain(share)}"),
    )  # fmt: skip
