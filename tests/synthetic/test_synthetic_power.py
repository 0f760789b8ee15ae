"""The power of the synthetic nodes: that of what runs there, for as long as it does."""

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aggregator.model.readings import Readings
from aggregator.synthetic import SyntheticCluster, SyntheticPower
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.use import Columns

START = 1_800_000_900.0
# No exporter restarts then.
QUIET = START - START % 1800 + 1380


async def window(cluster: SyntheticCluster, end: float) -> Readings:
    return await SyntheticPower(cluster).windows(end, 1)


def nodes_of(found: Readings) -> dict[str, Any]:
    return {row["node"]: row for row in found.nodes.iter_rows(named=True)}


@pytest.fixture
def cluster() -> SyntheticCluster:
    cluster = SyntheticCluster(running=100, start=START)
    cluster.advance(QUIET)
    return cluster


async def test_windows_are_the_same_one_by_one_and_together(cluster: SyntheticCluster) -> None:
    together = await SyntheticPower(cluster).windows(QUIET - 600, 3)
    assert (together.windows.end, together.windows.count) == (QUIET - 480, 3)
    for number in range(3):
        alone = await window(cluster, QUIET - 600 + 60 * number)
        for name in ("nodes", "used", "gpus"):
            part = getattr(together, name).filter(window=number).with_columns(window=pl.lit(0, dtype=pl.Int32))
            assert_frame_equal(part, getattr(alone, name), check_exact=True, check_row_order=False)


async def test_a_node_is_as_busy_as_its_runs_while_they_are_there(
    cluster: SyntheticCluster,
) -> None:
    found = await window(cluster, QUIET)
    busy = dict.fromkeys((node.name for node in cluster.nodes), 0.0)
    for live in cluster.ran_since(QUIET - 60):
        begin, end = max(live.run.start or 0.0, QUIET - 60), min(live.run.end or QUIET, QUIET)
        columns = Columns((live,))
        for node, cpus in columns.by_node(columns.cpus(QUIET)).items():
            busy[node] += cpus * max(0.0, end - begin) / 60
    assert any(live.run.end and live.run.end > QUIET - 60 for live in cluster.ran_since(QUIET - 60))
    for node, power in nodes_of(found).items():
        assert power["busy_cpus"] == pytest.approx(busy[node] + 0.2)
        if power["watts"] is not None:
            assert power["watts"] == pytest.approx(140 + 4.5 * busy[node] + (power["gpu_watts"] or 0.0))


async def test_one_node_does_not_say_its_power_and_silent_exporters_show_no_job(cluster: SyntheticCluster) -> None:
    found, exporters = await window(cluster, QUIET), Exporters(cluster)
    nodes, silent = nodes_of(found), exporters.silent(QUIET)
    assert nodes.keys() == {node.name for node in cluster.nodes}
    assert {name for name, node in nodes.items() if node["watts"] is None} == {exporters.without_power}
    assert silent
    assert silent.isdisjoint({*found.used["node"], *found.gpus["node"]})
    assert {name for name, node in nodes.items() if not node["vouches_cpus"]} == silent


async def test_gpus_of_a_node_draw_what_they_draw_at_rest_and_for_their_use(cluster: SyntheticCluster) -> None:
    found = await window(cluster, QUIET)
    nodes = nodes_of(found).values()
    of_gpus = [node["gpu_watts"] for node in nodes if node["gpus"]]
    assert all(4 * 60 <= watts <= 4 * 400 for watts in of_gpus)
    assert any(watts > 4 * 60 for watts in of_gpus)
    assert all(node["gpu_watts"] is None for node in nodes if not node["gpus"])
