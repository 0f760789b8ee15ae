"""Words of Slurm and of the rules, as people say them."""

from collections.abc import Callable, Mapping
from typing import Any

from aggregator.pages.language import Language
from aggregator.pages.numbers import Numbers


def states_of(_: Language) -> Mapping[str, str]:
    """Give the states of jobs by their names in the API."""
    return {
        "pending": _("waiting"), "running": _("running"), "suspended": _("suspended"), "completed": _("completed"),
        "cancelled": _("cancelled"), "failed": _("failed"), "timeout": _("timed out"),
        "node_fail": _("a node failed"), "preempted": _("preempted"), "boot_fail": _("a node did not start"),
        "deadline": _("deadline passed"), "out_of_memory": _("out of memory"), "requeued": _("requeued"),
        "resizing": _("resizing"), "revoked": _("revoked"),
    }  # fmt: skip


def words_of(_: Language) -> Mapping[str, str]:
    """Give the severities and results of rules."""
    return {
        "critical": _("critical"), "warning": _("warning"), "does not hold": _("does not hold"),
        "cpu": _("CPU"), "gpu": _("GPU"), "memory": _("Memory"),
    }  # fmt: skip


def in_unit(numbers: Numbers) -> Callable[[Any, str], str]:
    """Give what writes a value of a rule in its unit."""
    writers = {"ratio": numbers.percent, "seconds": numbers.duration, "bytes": numbers.size}

    def write(value: Any, unit: str) -> str:
        return writers.get(unit, numbers.number)(value)

    return write
