"""Words of Slurm and of the rules, as people say them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

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


def rule_words_of(_: Language) -> Mapping[str, str]:
    """Give the shipped rules in a few words; a rule of the site's own has its name."""
    return {
        "gpu_unused": _("GPUs unused"), "gpu_partly_unused": _("some GPUs unused"),
        "gpu_low_utilization": _("GPUs little used"), "gpu_low_occupancy": _("GPUs nearly empty"),
        "cpu_serial": _("one CPU busy of several"),
        "cpu_low": _("CPUs little used"), "memory_overrequested": _("too much memory"),
    }  # fmt: skip


_BECAUSE: Final[Sequence[tuple[str, Callable[..., str]]]] = (
    (r"it runs for (\d+) min, judged from ([\d.]+) min",
     lambda _, age, least: _("it runs for %(age)s min, judged from %(least)s min", age=age, least=least)),
    (r"the exporter of (\S+) is down", lambda _, node: _("the exporter of %(node)s is down", node=node)),
    (r"the exporters of (.+) are down", lambda _, nodes: _("the exporters of %(nodes)s are down", nodes=nodes)),
    (r"only (\d+) % of the GPU time was observed",
     lambda _, share: _("only %(share)s %% of the GPU time was observed", share=share)),
    (r"Prometheus could not be read", lambda _: _("Prometheus could not be read")),
    (r"it has no GPUs", lambda _: _("it has no GPUs")),
)  # fmt: skip


def because_of(text: str, language: Language) -> str:
    """Give why a rule was not applied in the reader's language, where it is one of the usual reasons."""
    for pattern, say in _BECAUSE:
        if match := re.fullmatch(pattern, text):
            return say(language, *match.groups())
    return text


def in_unit(numbers: Numbers) -> Callable[[Any, str], str]:
    """Give what writes a value of a rule in its unit."""
    writers = {"ratio": numbers.percent, "seconds": numbers.duration, "bytes": numbers.size}

    def write(value: Any, unit: str) -> str:
        return writers.get(unit, numbers.number)(value)

    return write
