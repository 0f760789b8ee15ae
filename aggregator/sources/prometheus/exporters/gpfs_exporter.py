"""Inputs from treydock/gpfs_exporter, collector mmrepquota: use and limits of users, groups and filesets.

`quota` is the soft limit and `limit` the hard one; 0 is none. Since 3.0.1 users and groups have a series for each
fileset: they are added up, or chosen; where one of them has no limit, neither has the sum. What is in doubt counts
against the limits and is not in what is used. The exporter's own word that a collection failed or timed out voids what
it shows beside. User and group are names, or numbers that mmrepquota could not resolve.
"""

from aggregator.sources.prometheus.exporter import Exporter, Needed
from aggregator.sources.prometheus.expression import CLUSTER, LABELS, Expression, Graph, Metric

_COLLECTOR = ("collector", "=", "mmrepquota")
_FAILURES = {
    "error": Metric("gpfs_exporter_collect_error", (_COLLECTOR,), by=CLUSTER),
    "timeout": Metric("gpfs_exporter_collect_timeout", (_COLLECTOR,), by=CLUSTER),
}
_KINDS = {"used": "Used", "quota": "The soft limit", "limit": "The hard limit", "in_doubt": "In doubt"}
_UNITS = {"bytes": ("bytes", 1e19), "files": ("inodes", 1e15)}
_LIMITS = ("quota", "limit")


def _text(owner: str, kind: str) -> str:
    """Add up the filesets of an owner, each once, on whichever nodes the exporter runs."""
    of_fileset = "$fs, $fileset" if owner == "fileset" else f"${owner}, $fs, $fileset"
    trusted = "$each_max unless on ($node) ($error == 1) unless on ($node) ($timeout == 1)"
    each = f"max by ({of_fileset}) ({trusted})"
    total = f"sum by (${owner}) ({each})"
    return f"{total} unless on (${owner}) ({each} == 0)" if kind in _LIMITS else total


def _graph(owner: str, kind: str, unit: str) -> Graph:
    name, high = _UNITS[unit]
    return Graph(
        name=f"{kind}_{name}", help=f"{_KINDS[kind]}, in {name}, of all its filesets.", unit=name,
        by={f"gpfs_{owner}": LABELS}, metrics={"each": Metric(f"gpfs_{owner}_{kind}_{unit}"), **_FAILURES},
        text=_text(owner, kind), high=high,
    )  # fmt: skip


GRAPHS = tuple(
    _graph(owner, kind, unit) for owner in ("group", "user", "fileset") for kind in _KINDS for unit in _UNITS
)

# Where the exporter says that it could not collect.
FAILING = Expression(
    name="failing", metrics=_FAILURES, text="max by ($node) ($error == 1 or $timeout == 1)"
)  # fmt: skip

INPUTS = (FAILING,)
# What is not known without which series.
NEEDED = tuple(
    Needed(
        f"the {unit} of owners and their limits",
        tuple(
            f"gpfs_{owner}_{kind}_{unit}"
            for owner in ("group", "user", "fileset")
            for kind in ("used", "quota", "limit", "in_doubt")
        ),
    )
    for unit in ("bytes", "files")
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, graphs=GRAPHS, needed=NEEDED)
