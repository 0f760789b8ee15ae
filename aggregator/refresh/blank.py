"""Closed windows in which nothing was seen of what must be there: an answer without series is not the truth at once."""

from collections.abc import Sequence
from dataclasses import replace

from aggregator.model.accounting import Run
from aggregator.model.energy import Ledger, PowerWindow
from aggregator.sources.base import FetchError

# For so many windows more a window waits for samples: a late remote write, a wrong matcher that is put right. The
# samples' own time counts.
WAIT_WINDOWS = 10
# What was measured this long ago ought to be measured now.
_LATELY_SECONDS = 3600.0
_OF_USE = frozenset({"up", "cpus", "gpu_utilization"})


def complete(
    windows: Sequence[PowerWindow], runs: Sequence[Run], ledger: Ledger, newest: float
) -> Sequence[PowerWindow]:
    """Give the windows that may be added: those before the first that waits for samples, the newest of which is known.

    A later window of the same answer that has them shows that there is nothing to wait for. What is missing in a window
    that is added is not known. Raises FetchError when the first one waits.
    """
    known = _known(ledger, windows[0].begin - _LATELY_SECONDS)
    found = [_found(window) for window in windows]
    ready: list[PowerWindow] = []
    for number, window in enumerate(windows):
        present = [run for run in runs if _is_present(run, window)]
        missing = [name for name in _missing(window, present, ledger) if name in known]
        later = frozenset[str]().union(*found[number + 1 :])
        waits = [name for name in missing if name not in later]
        if waits and newest < window.end + WAIT_WINDOWS * window.seconds:
            if not ready:
                raise FetchError(f"no sample of {' nor '.join(waits)} of any node, while {len(present)} jobs run")
            break
        ready.append(_without(window, missing))
        known |= _seen(window)
    return ready


def _found(window: PowerWindow) -> frozenset[str]:
    """Name the inputs that have samples."""
    use = window.use
    has = {
        "up": bool(use.healthy_nodes),
        "cpus": bool(use.cpus),
        "gpu_utilization": bool(use.gpus),
        "node_watts": any(node.watts is not None for node in window.nodes.values()),
    }
    return frozenset(name for name, is_there in has.items() if is_there)


def _known(ledger: Ledger, since: float) -> set[str]:
    """Name what the ledger has seen lately: a site that is being set up has nothing to wait for."""
    known = {"node_watts"} if any(node.until >= since for node in ledger.nodes.values()) else set[str]()
    if any(run.until >= since and (run.power_seconds or run.gpu_seconds) for run in ledger.runs.values()):
        known |= _OF_USE
    return known


def _seen(window: PowerWindow) -> set[str]:
    found = set(_found(window))
    return found | _OF_USE if {"up", "cpus"} <= found else found & {"node_watts"}


def _is_present(run: Run, window: PowerWindow) -> bool:
    """Tell whether a run was on nodes for the whole window: one that begins or ends in it may have no sample."""
    if run.start is None or not run.nodes:
        return False
    return run.start <= window.begin and (run.end is None or run.end >= window.end)


def _missing(window: PowerWindow, present: Sequence[Run], ledger: Ledger) -> list[str]:
    """Name the inputs without any sample."""
    if not present:
        return []
    use, missing = window.use, []
    if not use.healthy_nodes:
        missing += ["up"]
    elif not use.cpus and any(node in use.healthy_nodes for run in present for node in run.nodes):
        missing += ["cpus"]
    if not use.gpus and any(_has_shown_gpus(run, ledger) for run in present):
        missing += ["gpu_utilization"]
    if all(node.watts is None for node in window.nodes.values()):
        missing += ["node_watts"]
    return missing


def _has_shown_gpus(run: Run, ledger: Ledger) -> bool:
    totals = ledger.runs.get(run.run_id)
    return totals is not None and totals.gpu_used_seconds > 0


def _without(window: PowerWindow, missing: Sequence[str]) -> PowerWindow:
    """Say of the inputs that are missing that they are not known: a job without samples would look idle."""
    use = window.use
    if "cpus" in missing:
        use = replace(use, cpus=None)
    if "gpu_utilization" in missing:
        use = replace(use, gpus=None)
    # Without `up` nobody vouches, and a node without watts has none: they say so themselves.
    return replace(window, use=use)
