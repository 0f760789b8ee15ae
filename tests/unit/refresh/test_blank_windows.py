"""Windows without what jobs must have wait, and are closed as not known after a while."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aggregator.ledger.frames import RUNS
from aggregator.ledger.totals import no_totals
from aggregator.model.ledger import LedgerTotals
from aggregator.model.readings import Readings
from aggregator.refresh.blank import WAIT_WINDOWS, complete
from aggregator.sources.base import FetchError
from tests.unit.ledger.ledger_site import BEGIN, Row, Site, frame, gpu_row, node_row, run_row, used_row

RUN = run_row(start=BEGIN - 500, nodes=["n1"])
SILENT = {"vouches_cpus": False, "vouches_memory": False, "vouches_gpus": False}
# What is left of a window in which something is missing: rows of nodes, of use, of GPUs.
Rows = Mapping[str, tuple[Row, ...]]
FULL: Rows = {"nodes": (node_row(watts=100.0),), "used": (used_row(),), "gpus": (gpu_row(utilization=0.5),)}
BLANK: Mapping[str, Rows] = {
    "up": {**FULL, "nodes": (node_row(watts=100.0, **SILENT),)},
    "cpus": {**FULL, "used": ()},
    "gpu_utilization": {**FULL, "gpus": ()},
    "node_watts": {**FULL, "nodes": (node_row(watts=None),)},
}
SOON, LATE = BEGIN + 120, BEGIN + 60 + 60 * WAIT_WINDOWS


def readings(*windows: Rows) -> Readings:
    """Put windows one after the other."""
    parts: dict[str, Any] = {
        part: tuple({**row, "window": number} for number, rows in enumerate(windows) for row in rows[part])
        for part in FULL
    }
    return Site(windows=len(windows), **parts).readings()


def ledger() -> LedgerTotals:
    """Make a ledger that has seen the run on its node, and its GPU busy, until the first window."""
    before = Site(1, (RUN,), **FULL, gpus_of={1: {"a100": 1}}).totals()  # type: ignore[arg-type]
    return replace(before, window_end=BEGIN)


def of(found: Readings) -> int:
    return found.windows.count


def check(found: Readings, run: Row = RUN, totals: LedgerTotals | None = None, newest: float = SOON) -> Readings:
    return complete(found, frame(RUNS, [run]), totals or ledger(), newest)


@pytest.mark.parametrize("missing", BLANK)
def test_a_window_without_what_jobs_must_have_waits(missing: str) -> None:
    with pytest.raises(FetchError, match=f"no sample of {missing} of any node, while 1 jobs run"):
        check(readings(BLANK[missing]))


def test_an_answer_without_any_sample_names_them_all() -> None:
    with pytest.raises(FetchError, match="no sample of up nor gpu_utilization nor node_watts of any node"):
        check(readings({"nodes": (), "used": (), "gpus": ()}))


@pytest.mark.parametrize("missing", BLANK)
def test_windows_before_it_are_added(missing: str) -> None:
    found = check(readings(FULL, BLANK[missing]), newest=SOON + 60)

    assert of(found) == 1
    assert {*found.nodes["window"], *found.used["window"], *found.gpus["window"]} == {0}


@pytest.mark.parametrize("missing", BLANK)
def test_a_later_window_that_has_it_shows_that_there_is_nothing_to_wait_for(missing: str) -> None:
    """Prometheus was away: the answer is the truth."""
    assert of(check(readings(BLANK[missing], FULL), newest=SOON + 60)) == 2


@pytest.mark.parametrize("missing", BLANK)
def test_after_a_while_what_is_missing_is_not_known(missing: str) -> None:
    """Nobody says any more that a job without samples does nothing."""
    (node,) = check(readings(BLANK[missing]), newest=LATE).nodes.iter_rows(named=True)
    silent = missing == "up"

    assert node["vouches_cpus"] is not (silent or missing == "cpus")
    assert node["vouches_gpus"] is not (silent or missing == "gpu_utilization")
    assert node["vouches_memory"] is not silent


def test_only_the_window_that_lacks_it_is_not_known() -> None:
    found = check(readings(FULL, BLANK["cpus"], FULL), newest=LATE).nodes.sort("window")

    assert found["vouches_cpus"].to_list() == [True, False, True]


@pytest.mark.parametrize("missing", BLANK)
def test_nothing_is_waited_for_while_no_job_runs_or_none_was_ever_seen(missing: str) -> None:
    blank = readings(BLANK[missing])
    short = check(blank, run_row(start=BEGIN + 10))

    assert short.nodes.equals(blank.nodes)
    assert of(check(blank, totals=no_totals(BEGIN))) == 1


def test_of_a_job_whose_node_does_not_answer_no_cpus_are_expected() -> None:
    others = (node_row(watts=100.0, **SILENT), node_row(node="n2"))

    assert of(check(readings({**FULL, "nodes": others, "used": ()}))) == 1


def test_what_one_window_shows_the_next_must_have() -> None:
    """A site that is being set up has nothing to wait for until it is."""
    found = check(readings(FULL, BLANK["node_watts"]), totals=no_totals(BEGIN), newest=SOON + 60)

    assert of(found) == 1
