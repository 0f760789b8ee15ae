"""The power of the synthetic nodes: that of what runs there, for as long as it does."""

import pytest

from aggregator.model.energy import PowerWindow
from aggregator.synthetic import SyntheticCluster, SyntheticPower
from aggregator.synthetic.exporters import Exporters
from aggregator.synthetic.use import Columns

START = 1_800_000_900.0
# No exporter restarts then.
QUIET = START - START % 1800 + 1200


async def window(cluster: SyntheticCluster, end: float) -> PowerWindow:
    (only,) = await SyntheticPower(cluster).windows(end, 1)
    return only


@pytest.fixture
def cluster() -> SyntheticCluster:
    cluster = SyntheticCluster(running=100, start=START)
    cluster.advance(QUIET)
    return cluster


async def test_windows_are_the_same_one_by_one_and_together(cluster: SyntheticCluster) -> None:
    together = await SyntheticPower(cluster).windows(QUIET - 600, 3)
    assert [each.end for each in together] == [QUIET - 600, QUIET - 540, QUIET - 480]
    assert list(together) == [await window(cluster, QUIET - 600 + 60 * number) for number in range(3)]


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
    for node, power in found.nodes.items():
        assert power.busy_cpus == pytest.approx(busy[node] + 0.2)
        assert power.watts == pytest.approx(140 + 4.5 * busy[node] + (power.gpu_watts or 0.0))


async def test_one_node_does_not_say_its_power_and_silent_exporters_show_no_job(cluster: SyntheticCluster) -> None:
    found, exporters = await window(cluster, QUIET), Exporters(cluster)
    assert {node.name for node in cluster.nodes} - set(found.nodes) == {exporters.without_power}
    shown = {node for values in (found.use.cpus or {}).values() for node in values}
    assert exporters.silent(QUIET)
    assert shown.isdisjoint(exporters.silent(QUIET))
    assert found.nodes.keys() >= exporters.silent(QUIET)


async def test_gpus_of_a_node_draw_what_they_draw_at_rest_and_for_their_use(cluster: SyntheticCluster) -> None:
    found = await window(cluster, QUIET)
    of_gpus = {node: power.gpu_watts for node, power in found.nodes.items() if power.gpus}
    assert all(4 * 60 <= (watts or 0.0) <= 4 * 400 for watts in of_gpus.values())
    assert any((watts or 0.0) > 4 * 60 for watts in of_gpus.values())
    assert all(power.gpu_watts is None for power in found.nodes.values() if not power.gpus)
