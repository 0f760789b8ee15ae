"""What `check --connect` says of the use of jobs: which exporter brings what, and which would bring the rest."""

from collections.abc import Iterator
from typing import Final

from aggregator.model.job_inputs import Use
from aggregator.sources.prometheus.catalogue import PROVIDERS, in_order

# What people call a column, and the kind of value that it is.
_COLUMNS: Final = {
    "cpus": ("CPUs", "cpus"), "memory_bytes": ("memory", "memory"), "memory_peak_bytes": ("peaks of memory", "memory"),
    "threads": ("threads", "cpus"), "gpus": ("GPUs", "gpus"),
}  # fmt: skip


def what_is_brought(use: Use) -> str:
    """Say which exporter shows what of the jobs, and whose scrape would show what none of them does."""
    shown = {name: _shown(use, name) for name in _COLUMNS}
    if not any(shown.values()):
        return "no exporter shows any job now"
    by: dict[str, list[str]] = {}
    for name, exporters in shown.items():
        for exporter in exporters:
            by.setdefault(exporter, []).append(_COLUMNS[name][0])
    brought = "; ".join(f"{exporter} shows {', '.join(columns)}" for exporter, columns in by.items())
    lacking = ", ".join(_lacking(use, name) for name, exporters in shown.items() if not exporters)
    return f"{brought}; not known: {lacking}" if lacking else brought


def _input_of(name: str) -> str:
    """Name the input that says who was asked for a column."""
    return "gpu_utilization" if name == "gpus" else name


def _shown(use: Use, name: str) -> list[str]:
    """Give the exporters whose values of a column there are."""
    frame = use.gpus if name == "gpus" else use.values.get(name)
    if frame is None or frame.is_empty():
        return []
    chosen = use.chosen.get(_input_of(name))
    return _asked(use, name) if chosen is None else sorted(chosen["exporter"].unique())


def _asked(use: Use, name: str) -> list[str]:
    return [question.exporter for question in use.questions.get(_input_of(name), ())]


def _lacking(use: Use, name: str) -> str:
    """Name what is shown of no job, and who was asked, or else could show it."""
    said = _COLUMNS[name][0]
    if asked := _asked(use, name):
        return f"{said} (no series of {' or '.join(asked)})"
    return f"{said} ({' or '.join(_able(name))} would show them)"


def _able(name: str) -> Iterator[str]:
    for exporter in in_order(_COLUMNS[name][1], PROVIDERS):
        if name == "gpus" or name in {item.name for item in PROVIDERS[exporter].values}:
            yield exporter
