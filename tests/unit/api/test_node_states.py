"""In which state a node is: slurmctld's word, else slurmdbd's, else what its jobs say."""

from collections.abc import Iterable
from typing import Any

import pytest

from aggregator.api.node_states import with_states
from aggregator.model.run_details import NodeEvent

from .builders import NOW, frames_of


def state_of(events: Iterable[NodeEvent] | None, **node: Any) -> dict[str, Any]:
    row = {"node": "n1", "kind": "compute", "allocated_cpus": 0.0, "jobs": 0, **node}
    (found,) = with_states(frames_of(nodes=[row])["nodes"], events).to_dicts()
    return found


def test_slurmctlds_word_comes_before_slurmdbds_and_the_reason_is_slurmdbds() -> None:
    event = NodeEvent("n1", NOW - 9, None, ("down",), "bad DIMM")
    state = state_of([event], state="drained", flags=["not_responding"])
    assert (state["state"], state["flags"], state["state_source"]) == ("drained", ["not_responding"], "slurm-exporter")
    assert (state["reason"], state["event_timestamp_seconds"]) == ("bad DIMM", NOW - 9)


@pytest.mark.parametrize(
    ("states", "jobs", "word"),
    [(("down",), 0, "down"), (("idle", "drain"), 0, "drained"), (("mixed", "drain"), 1, "draining"), ((), 0, None)],
)
def test_without_an_exporter_the_state_is_slurmdbds(states: tuple[str, ...], jobs: int, word: str | None) -> None:
    found = state_of([NodeEvent("n1", NOW, None, states)], jobs=jobs)
    assert (found["state"], found["state_source"]) == (word, "slurmacct event_table")


def test_the_newest_event_counts() -> None:
    events = [NodeEvent("n1", NOW, None, ("down",)), NodeEvent("n1", NOW - 9, None, ("idle", "drain"), "old")]
    found = state_of(events)
    assert (found["state"], found["reason"], found["event_timestamp_seconds"]) == ("down", None, NOW)


def test_a_node_of_which_slurmdbd_records_nothing_bad_is_as_busy_as_its_jobs_say() -> None:
    assert state_of([])["state"] == "idle"
    assert state_of([], jobs=1, cpus=32.0, allocated_cpus=8.0)["state"] == "mixed"
    assert state_of([], jobs=1, cpus=32.0, allocated_cpus=32.0)["state"] == "allocated"
    assert state_of([], jobs=1)["state"] is None, "its size is not known"
    assert state_of(None)["state"] is None, "nobody says anything"


def test_of_a_host_that_is_no_compute_node_no_state_is_known() -> None:
    found = state_of([], kind="login", jobs=None)
    assert (found["state"], found["state_source"]) == (None, None)
