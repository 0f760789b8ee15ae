"""Windows without what jobs must have wait, and are closed as not known after a while."""

from dataclasses import replace

import pytest

from aggregator.model.accounting import JobState, Run
from aggregator.model.energy import Ledger, NodePower, NodeTotals, PowerWindow, RunLedger
from aggregator.model.tres import Allocation
from aggregator.model.use import Gpu, Use
from aggregator.refresh.blank import WAIT_WINDOWS, complete
from aggregator.sources.base import FetchError

BEGIN = 1_700_000_040.0
RUN = Run(
    cluster="c", run_id=1, job_id=101, user="alice", account="def-kim", state=JobState.RUNNING, submit=BEGIN - 500,
    start=BEGIN - 500, allocated=Allocation(8, 0, 1, {"a100": 1}), nodes=("n1",),
)  # fmt: skip
USE = Use(time=BEGIN + 60, cpus={101: {"n1": 1.0}}, gpus={101: (Gpu("n1", "0", 0.5),)}, healthy_nodes=frozenset({"n1"}))
FULL = PowerWindow(BEGIN, BEGIN + 60, USE, {"n1": NodePower(watts=100.0)})
LEDGER = Ledger(
    BEGIN,
    {1: RunLedger(BEGIN - 500, BEGIN, power_seconds=500.0, gpu_seconds=500.0, gpu_used_seconds=50.0)},
    nodes={"n1": NodeTotals(BEGIN)},
)
BLANK = {
    "up": replace(FULL, use=replace(USE, healthy_nodes=frozenset())),
    "cpus": replace(FULL, use=replace(USE, cpus={})),
    "gpu_utilization": replace(FULL, use=replace(USE, gpus={})),
    "node_watts": replace(FULL, nodes={"n1": NodePower(cpus=8.0)}),
}
SOON, LATE = BEGIN + 120, BEGIN + 60 + 60 * WAIT_WINDOWS


@pytest.mark.parametrize("missing", BLANK)
def test_a_window_without_what_jobs_must_have_waits(missing: str) -> None:
    with pytest.raises(FetchError, match=f"no sample of {missing} of any node, while 1 jobs run"):
        complete([BLANK[missing]], [RUN], LEDGER, SOON)


@pytest.mark.parametrize("missing", BLANK)
def test_windows_before_it_are_added(missing: str) -> None:
    later = replace(BLANK[missing], begin=BEGIN + 60, end=BEGIN + 120)
    assert complete([FULL, later], [RUN], LEDGER, SOON + 60) == [FULL]


@pytest.mark.parametrize("missing", BLANK)
def test_a_later_window_that_has_it_shows_that_there_is_nothing_to_wait_for(missing: str) -> None:
    """Prometheus was away: the answer is the truth."""
    later = replace(FULL, begin=BEGIN + 60, end=BEGIN + 120)
    assert len(complete([BLANK[missing], later], [RUN], LEDGER, SOON + 60)) == 2


@pytest.mark.parametrize("missing", BLANK)
def test_after_a_while_what_is_missing_is_not_known(missing: str) -> None:
    (window,) = complete([BLANK[missing]], [RUN], LEDGER, LATE)
    assert (window.use.cpus is None, window.use.gpus is None) == (missing == "cpus", missing == "gpu_utilization")


@pytest.mark.parametrize("missing", BLANK)
def test_nothing_is_waited_for_while_no_job_runs_or_none_was_ever_seen(missing: str) -> None:
    short = replace(RUN, start=BEGIN + 10)
    assert complete([BLANK[missing]], [short], LEDGER, SOON) == [BLANK[missing]]
    (window,) = complete([BLANK[missing]], [RUN], Ledger(BEGIN), SOON)
    assert window.end == BEGIN + 60
