"""From values of exporters to the ledger's frames: whose GPUs are believed, and what measured a node."""

from typing import Any

import polars as pl
import pytest

from aggregator.model.readings import NodeSize
from aggregator.sources.prometheus.choosing import choose_gpus
from aggregator.sources.prometheus.power_frames import OF_GPU, OF_JOB, OF_NODE, nodes_frame

_GPUS = {"window": pl.Int32, "job_id": pl.Int64, "node": pl.String, "gpu": pl.String, "value": pl.Float64}
_NODES = {"window": pl.Int32, "node": pl.String, "value": pl.Float64}
_AT_REST = pl.DataFrame(schema={"window": pl.Int32, "node": pl.String, "static_watts": pl.Float64})


def gpus(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=_GPUS, orient="row")


def chosen(named: pl.DataFrame, others: pl.DataFrame) -> set[tuple[Any, ...]]:
    found = choose_gpus({"a": named, "b": others}, OF_JOB, "value")
    assert found is not None
    return set(found.select(OF_GPU).rows())


def node(known: dict[str, NodeSize] | None = None, shows_gpus: bool = False, **values: float) -> dict[str, Any]:
    """Read one node of which these values are known."""
    frames = {name: pl.DataFrame([(0, "n1", value)], schema=_NODES, orient="row") for name, value in values.items()}
    shown = pl.DataFrame(
        [(0, "n1")] if shows_gpus else [], schema={name: _NODES[name] for name in OF_NODE}, orient="row"
    )
    (row,) = nodes_frame(frames, _AT_REST, shown, known or {}).to_dicts()
    return row


def test_gpus_that_name_their_job_are_believed_unless_others_know_of_more() -> None:
    named = gpus((0, 1, "n1", "GPU-a", 0.5), (0, 1, "n2", "GPU-b", 0.5))
    others = gpus((0, 1, "n1", "0", 0.4), (0, 1, "n2", "0", 0.4), (0, 1, "n2", "1", 0.4), (0, 2, "n1", "0", 0.4))

    assert chosen(named, others) == {
        (0, 1, "n1", "GPU-a"), (0, 1, "n2", "0"), (0, 1, "n2", "1"), (0, 2, "n1", "0"),
    }  # fmt: skip


def test_each_window_is_looked_at_by_itself() -> None:
    assert chosen(gpus((0, 1, "n1", "GPU-a", 0.5)), gpus((1, 1, "n1", "0", 0.4))) == {
        (0, 1, "n1", "GPU-a"), (1, 1, "n1", "0"),
    }  # fmt: skip
    assert chosen(gpus(), gpus()) == set()


def test_the_whole_node_wins_over_its_parts() -> None:
    row = node(node_watts=700.0, node_moments=0.5, package_watts=80.0, package_moments=1.0)

    assert (row["watts"], row["meter"], row["covered"], row["lacks_gpus"]) == (700.0, "redfish", 0.5, False)


@pytest.mark.parametrize("gpu_watts", [None, 60.0])
def test_without_the_whole_a_node_is_its_processors_memory_and_gpus(gpu_watts: float | None) -> None:
    values = {} if gpu_watts is None else {"nvidia_gpu_watts": gpu_watts}
    row = node(package_watts=80.0, dram_watts=20.0, package_moments=0.75, **values)

    assert (row["watts"], row["meter"], row["covered"]) == (100.0 + (gpu_watts or 0.0), "rapl", 0.75)
    assert (row["lacks_gpus"], row["dram_share"]) == (gpu_watts is None, 0.2)


def test_processors_that_draw_nothing_are_no_meter() -> None:
    row = node(package_watts=0.0, cpus=4.0, resting_cpus=5.0)

    assert (row["watts"], row["covered"], row["dram_share"], row["busy_cpus"]) == (None, 0.0, None, 0.0)


def test_who_answers_vouches_and_for_gpus_if_it_can_show_some() -> None:
    for healthy, shows_gpus in ((True, True), (True, False), (False, True)):
        row = node(cpus=4.0, shows_gpus=shows_gpus, **({"healthy_nodes": 1.0} if healthy else {}))
        vouches = [row[f"vouches_{of}"] for of in ("cpus", "memory", "gpus")]
        assert vouches == [healthy, healthy, healthy and shows_gpus]


def test_what_is_said_of_a_node_wins() -> None:
    row = node({"n1": NodeSize(cpus=8.0, gpus=2), "n2": NodeSize(cpus=1.0)}, cpus=4.0, memory_total_bytes=2.0**30)

    assert (row["cpus"], row["gpus"], row["memory_bytes"], row["static_watts"]) == (8.0, 2.0, 2.0**30, None)
