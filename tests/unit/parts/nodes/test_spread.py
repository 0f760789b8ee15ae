from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.parts.nodes.spread import spread as spread_in_rows
from tests.builders import GIB

# CPUs, bytes of memory and GPUs.
SIZES = {f"node{number:02}": (32.0, 128.0 * GIB, 4.0) for number in range(1, 6)}
_HELD = {"run_id": pl.UInt64, "nodes": pl.List(pl.String), "cpus": pl.Int64, "memory_bytes": pl.Int64, "gpus": pl.Int64}
_SIZES = {"node": pl.String, "cpus": pl.Float64, "memory_bytes": pl.Float64, "gpus": pl.Float64}
Parts = dict[str, dict[int, dict[str, Any]]]


def on(*nodes: str, run_id: int = 1, **held: Any) -> dict[str, Any]:
    return {"run_id": run_id, "nodes": nodes, "cpus": 8, "memory_bytes": 8 * GIB, "gpus": 0, **held}


def spread(runs: Iterable[Mapping[str, Any]], sizes: Mapping[str, tuple[float, ...]]) -> Parts:
    """Give the parts by node and run."""
    found: Parts = defaultdict(dict)
    known = pl.DataFrame([(node, *size) for node, size in sizes.items()], schema=_SIZES, orient="row")
    for row in spread_in_rows(pl.DataFrame(list(runs), schema=_HELD), known).iter_rows(named=True):
        found[row.pop("node")][row.pop("run_id")] = row
    return found


def test_a_run_of_one_node_holds_it_all_there() -> None:
    part = {"cpus": 8.0, "memory_bytes": 8.0 * GIB, "gpus": 2.0, "is_estimated": False}
    assert spread([on("node01", gpus=2)], SIZES) == {"node01": {1: part}}


def test_a_run_of_several_nodes_is_spread_evenly_where_there_is_room() -> None:
    part = {"cpus": 4.0, "memory_bytes": 4.0 * GIB, "gpus": 2.0, "is_estimated": True}
    assert spread([on("node01", "node02", gpus=4)], {}) == {"node01": {1: part}, "node02": {1: part}}


def test_what_is_too_much_for_one_node_is_on_the_others() -> None:
    parts = spread([on("node01", "node02", "node03", cpus=66), on("node01", run_id=2, cpus=20)], SIZES)
    assert [parts[node][1]["cpus"] for node in ("node01", "node02", "node03")] == [12.0, 27.0, 27.0]


def test_what_has_the_most_on_a_node_comes_first() -> None:
    small, large = on("node01", "node02", cpus=40), on("node01", "node03", run_id=2, cpus=60)
    parts = spread([small, large], SIZES)
    assert (parts["node01"][2]["cpus"], parts["node01"][1]["cpus"], parts["node02"][1]["cpus"]) == (30.0, 2.0, 32.0)


def test_memory_that_is_not_managed_is_not_held() -> None:
    assert spread([on("node01", "node02", memory_bytes=None)], SIZES)["node02"][1]["memory_bytes"] is None
    assert spread([on("node01", memory_bytes=None)], SIZES)["node01"][1]["memory_bytes"] is None


def test_a_run_whose_nodes_are_not_known_is_on_none() -> None:
    assert spread([on()], SIZES) == {}


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(sorted(SIZES)), min_size=1), st.integers(1, 200), st.integers(0, 20)),
        max_size=6,
    )
)
def test_no_node_is_given_more_than_it_has_and_no_run_more_than_it_holds(
    drawn: list[tuple[set[str], int, int]],
) -> None:
    """A run of one node is believed: Slurm has put it there."""
    runs = [on(*sorted(nodes), run_id=number, cpus=cpus, gpus=gpus) for number, (nodes, cpus, gpus) in enumerate(drawn)]
    parts = spread(runs, SIZES)
    for of_node in parts.values():
        for amount, most in (("cpus", 32.0), ("gpus", 4.0)):
            certain = sum(part[amount] for part in of_node.values() if not part["is_estimated"])
            estimated = sum(part[amount] for part in of_node.values() if part["is_estimated"])
            assert estimated <= max(0.0, most - certain) * (1 + 1e-9)
    for run in runs:
        held = sum(of_node[run["run_id"]]["cpus"] for of_node in parts.values() if run["run_id"] in of_node)
        assert held <= run["cpus"] * (1 + 1e-9)
        if len(runs) == 1 and len(run["nodes"]) > 1:
            assert held == pytest.approx(min(run["cpus"], 32 * len(run["nodes"])))
