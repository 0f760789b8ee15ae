"""Closed windows in which nothing was seen of what must be there: an answer without series is not the truth at once."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import polars as pl

from aggregator.model.ledger import LedgerTotals
from aggregator.model.readings import Readings, Windows
from aggregator.sources.base import FetchError

# For so many windows more a window waits for samples: a late remote write, a wrong matcher that is put right. The
# samples' own time counts.
WAIT_WINDOWS = 10
# What was measured this long ago ought to be measured now.
_LATELY_SECONDS = 3600.0
_INPUTS = ("up", "cpus", "gpu_utilization", "node_watts")
_OF_USE = frozenset({"up", "cpus", "gpu_utilization"})


class _Window(NamedTuple):
    """What one window has samples of, how many runs filled it, and what these must have."""

    end: float
    found: frozenset[str]
    present: int
    expected: frozenset[str]


def complete(readings: Readings, runs: pl.DataFrame, totals: LedgerTotals, newest: float) -> Readings:
    """Give the windows that may be added: those before the first that waits for samples, the newest of which is known.

    runs is the ledger's frame RUNS. A later window of the same answer that has them shows that there is nothing to wait
    for. What is missing in a window that is added is not known. Raises FetchError when the first one waits.
    """
    known = _known(totals, readings.windows.begin - _LATELY_SECONDS)
    windows, blank = _look(readings, runs, totals), list[Collection[str]]()
    for number, window in enumerate(windows):
        missing = (window.expected - window.found) & known
        later = frozenset[str]().union(*(each.found for each in windows[number + 1 :]))
        waits = missing - later
        if waits and newest < window.end + WAIT_WINDOWS * readings.windows.seconds:
            if not number:
                names = " nor ".join(name for name in _INPUTS if name in waits)
                raise FetchError(f"no sample of {names} of any node, while {window.present} jobs run")
            break
        blank.append(missing)
        known |= _learned(window.found)
    return _first(readings, blank)


def _known(totals: LedgerTotals, since: float) -> frozenset[str]:
    """Name what the ledger has seen lately: a site that is being set up has nothing to wait for."""
    is_late, runs = pl.col("until") >= since, totals.runs
    known = frozenset({"node_watts"} if totals.nodes.filter(is_late).height else ())
    has_seen = (pl.col("power_seconds") > 0) | (pl.col("gpu_seconds") > 0)
    return known | _OF_USE if runs.filter(is_late & has_seen).height else known


def _learned(found: frozenset[str]) -> frozenset[str]:
    return found | _OF_USE if {"up", "cpus"} <= found else found & {"node_watts"}


def _look(readings: Readings, runs: pl.DataFrame, totals: LedgerTotals) -> Sequence[_Window]:
    """Look what each window has, and what it should have.

    A run that begins or ends in a window may have no sample. Of a node whose exporter is down no CPUs are expected, and
    GPUs only of runs that have shown some.
    """
    nodes, used, gpus = readings.nodes, readings.used, readings.gpus
    on_nodes = runs.filter(pl.col("nodes").list.len() > 0).select("run_id", "start", "end")
    has_begun, goes_on = pl.col("start") <= pl.col("window_begin"), pl.col("end") >= pl.col("window_end")
    windows = readings.windows.frame()
    present = windows.join(on_nodes, how="cross").filter(has_begun & goes_on.fill_null(True)).select("window", "run_id")
    of_gpus = totals.runs.filter(pl.col("gpu_used_seconds") > 0).select("run_id")
    counts = windows.join(present.group_by("window").len(), on="window", how="left")["len"].fill_null(0)
    up = _windows(nodes.filter("vouches_cpus"))
    found = {
        "up": up,
        "cpus": _windows(used.filter(pl.col("used_cpus").is_not_null())),
        "gpu_utilization": _windows(gpus.filter(pl.col("utilization").is_not_null())),
        "node_watts": _windows(nodes.filter(pl.col("watts").is_not_null())),
    }
    everywhere = _windows(present)
    expected = {
        "up": everywhere,
        "cpus": _windows(_where_up(present.filter(pl.col("window").is_in(up - found["cpus"])), runs, nodes)),
        "gpu_utilization": _windows(present.join(of_gpus, on="run_id", how="semi")),
        "node_watts": everywhere,
    }
    return [
        _Window(end, _names(found, number), counts[number], _names(expected, number))
        for number, end in enumerate(windows["window_end"])
    ]


def _windows(rows: pl.DataFrame) -> frozenset[int]:
    """Give the numbers of the windows that have rows."""
    return frozenset(rows["window"].unique())


def _names(windows: dict[str, frozenset[int]], number: int) -> frozenset[str]:
    return frozenset(name for name, numbers in windows.items() if number in numbers)


def _where_up(present: pl.DataFrame, runs: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Give the runs that have a node whose exporter answers."""
    placed = present.join(runs.select("run_id", node="nodes"), on="run_id").explode("node")
    return placed.join(nodes.filter("vouches_cpus"), on=["window", "node"], how="semi")


def _first(readings: Readings, blank: Sequence[Collection[str]]) -> Readings:
    """Give the first windows, and say of the inputs that are missing in each that they are not known.

    A job without samples would look idle. Without `up` nobody vouches, and a node without watts has none.
    """
    whole, window = readings.windows, pl.col("window")
    without_cpus, without_gpus = (
        [number for number, names in enumerate(blank) if name in names] for name in ("cpus", "gpu_utilization")
    )
    nodes, used, gpus = (frame.filter(window < len(blank)) for frame in (readings.nodes, readings.used, readings.gpus))
    nodes = nodes.with_columns(
        pl.col("vouches_cpus") & ~window.is_in(without_cpus), pl.col("vouches_gpus") & ~window.is_in(without_gpus)
    )
    return Readings(Windows(whole.begin, whole.seconds, len(blank)), nodes, used, gpus)
