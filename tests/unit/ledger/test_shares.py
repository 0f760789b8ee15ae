"""Whose is the energy of a node: conservation for every model, and the formulas of docs/energy.md."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from aggregator.model.energy import COMPONENTS, MODELS
from aggregator.model.ledger import NODE_GAINS, NODE_POWER, RUN_GAINS, RUN_POWER, USER_GAINS
from tests.unit.ledger.ledger_site import Row, Site, gpu_row, node_row, rows_of, run_row, sites, used_row

WINDOW = 60.0
RUN = run_row()


def share(model: str, node: Mapping[str, Any], *tenants: Row, gpus_of: Any = None, **more: Any) -> list[float]:
    """Share a node between runs with these changes; give the watts of each, idle and unattributed ones."""
    runs = [{**run_row(number), **tenant} for number, tenant in enumerate(tenants, 1)]
    used = tuple(
        used_row(job_id=run["job_id"], used_cpus=run.pop("used_cpus", None), used_memory_bytes=run.pop("memory", None))
        for run in runs
    )
    vouches = dict.fromkeys(("vouches_cpus", "vouches_memory", "vouches_gpus"), False)
    site = Site(1, tuple(runs), (node_row(**{**vouches, **node}),), used, gpus_of=gpus_of, **more)
    gained = replace(site, prices=replace(site.prices, model=model)).gains()
    watts, of_node = rows_of(RUN_POWER, gained.run_power), rows_of(NODE_POWER, gained.node_power)["n1"]
    parts = [watts[run["run_id"]][f"{model}_watts"] for run in runs]
    return [*parts, of_node["idle_watts"], of_node["unattributed_watts"]]


def gpu_watts(node: Mapping[str, Any], gpus_of: Any, *gpus: Row, runs: Any = (RUN,)) -> tuple[Any, ...]:
    """Give the power of each run's own GPUs, and what is idle and unattributed where the host draws nothing."""
    gained = Site(1, tuple(runs), (node_row(static_watts=0.0, **node),), (), tuple(gpus), gpus_of).gains()
    watts, of_node = rows_of(RUN_POWER, gained.run_power), rows_of(NODE_POWER, gained.node_power)["n1"]
    return (*(watts[run["run_id"]]["gpu_watts"] for run in runs), of_node["idle_watts"], of_node["unattributed_watts"])


def cpus(count: float, **changes: Any) -> Row:
    return {"allocated_cpus": float(count), "allocated_memory_bytes": 0.0, **changes}


@settings(max_examples=settings.default.max_examples // 4)
@given(site=sites())
def test_runs_and_idle_and_unattributed_add_up_to_what_was_measured(site: Site) -> None:
    """Of every model; and what runs gain of all nodes is what the nodes gave to jobs."""
    for model in MODELS:
        gained = replace(site, prices=replace(site.prices, model=model)).gains()
        of_runs = gained.runs[f"{model}_joules"].sum() + gained.runs["gpu_joules"].sum()
        of_nodes = pytest.approx(gained.nodes["jobs_joules"].sum(), rel=1e-9, abs=1e-6)
        assert (of_runs, gained.users["joules"].sum()) == (of_nodes, of_nodes)
        watts = gained.node_power.select(pl.sum_horizontal(f"{part}_watts" for part in COMPONENTS)).to_series()
        for node, ours in zip(gained.node_power["node"], watts, strict=True):
            assert ours == pytest.approx(measured(site, node), rel=1e-9, abs=1e-9)


def measured(site: Site, node: str) -> float:
    """Give the watts of a node in the last window; with the power of the GPUs of jobs, where its meter lacks these."""
    row = next(row for row in site.nodes if row["window"] == site.windows - 1 and row["node"] == node)
    last = replace(site, nodes=({**row, "watts": 1e9, "lacks_gpus": False, "gpu_watts": None},)).gains().run_power
    # Without a limit of the node all of its GPUs' power is the jobs'.
    own = last["gpu_watts"].sum() if row["lacks_gpus"] else 0.0
    return row["watts"] + own


@settings(max_examples=settings.default.max_examples // 4)
@given(site=sites())
def test_nothing_is_negative_or_not_a_number_and_no_key_comes_twice(site: Site) -> None:
    gained = site.gains()
    frames = {RUN_GAINS: gained.runs, USER_GAINS: gained.users, NODE_GAINS: gained.nodes, RUN_POWER: gained.run_power,
              NODE_POWER: gained.node_power}  # fmt: skip
    for kind, frame in frames.items():
        values = frame.select(pl.selectors.float().fill_null(0.0))
        assert frame.select(kind.keys).is_duplicated().sum() == 0
        assert values.select(pl.all_horizontal(pl.all().is_finite() & (pl.all() >= 0)).all()).item() in (True, None)


@pytest.mark.parametrize("model", MODELS)
def test_the_power_of_an_empty_node_is_idle(model: str) -> None:
    assert share(model, {"busy_cpus": 2.0, "gpu_watts": 50.0}) == [200.0, 0.0]


def test_allocation_shares_the_host_by_cpus() -> None:
    """The portal's formula: node power × job's CPUs ÷ node's CPUs; the CPUs that nobody holds are idle."""
    assert share("allocation", {"watts": 320.0}, cpus(8), cpus(16)) == [80.0, 160.0, 80.0, 0.0]


def test_allocation_shares_the_host_of_a_gpu_job_by_gpus_and_adds_its_own() -> None:
    """The portal's formula: (node − all GPUs) × job's GPUs ÷ node's GPUs + the job's GPUs."""
    node, own = {"watts": 1000.0, "gpu_watts": 600.0, "gpus": 4.0}, (gpu_row(watts=300.0),)

    assert share("allocation", node, cpus(12), gpus_of={1: {"": 1}}, gpus=own) == [100.0, 300.0 + 300.0, 0.0]
    assert gpu_watts(node, {1: {"": 1}}, *own)[0] == 300.0


def test_two_part_shares_the_static_power_by_the_larger_of_cpu_and_memory() -> None:
    node = {"watts": 100.0, "static_watts": 100.0, "memory_bytes": 100.0}

    assert share("two_part", node, cpus(8, allocated_memory_bytes=50.0, used_cpus=8.0)) == [50.0, 50.0, 0.0]


def test_two_part_shares_what_is_above_the_static_power_by_cpu_time() -> None:
    node = {"watts": 400.0, "static_watts": 100.0}

    assert share("two_part", node, cpus(16, used_cpus=15.0), cpus(16, used_cpus=5.0)) == pytest.approx(
        [50 + 225, 50 + 75, 0, 0]
    )


def test_what_the_system_itself_uses_is_no_jobs() -> None:
    """A job that sleeps on an otherwise empty node must not be charged the daemons' work."""
    node = {"watts": 200.0, "static_watts": 100.0, "busy_cpus": 2.0}

    assert share("two_part", node, cpus(32, used_cpus=0.001)) == pytest.approx([100 + 0.05, 0, 100 - 0.05])


def test_a_job_whose_use_is_not_known_leaves_its_part_unattributed() -> None:
    assert share("two_part", {"watts": 400.0, "static_watts": 0.0}, cpus(24, used_cpus=24.0), cpus(8)) == pytest.approx(
        [300.0, 0.0, 0.0, 100.0]
    )


def test_the_whole_nodes_use_counts_without_the_part_of_those_whose_own_is_not_known() -> None:
    """Of 16 busy CPUs the silent job, with a quarter of what is allocated, has 4; of the other 12 the first has 8."""
    node = {"watts": 400.0, "static_watts": 0.0, "busy_cpus": 16.0}

    assert share("two_part", node, cpus(24, used_cpus=8.0), cpus(8)) == pytest.approx([200.0, 0.0, 0.0, 200.0])


def test_usage_shares_a_tenth_evenly_and_the_rest_by_cpu_time() -> None:
    node = {"watts": 100.0, "cpus": None}

    assert share("usage", node, cpus(4, used_cpus=3.0), cpus(4, used_cpus=1.0)) == pytest.approx([72.5, 27.5, 0, 0])


@pytest.mark.parametrize("least", [5e-324, 1e-300])
def test_of_use_that_is_next_to_nothing_the_parts_are_right(least: float) -> None:
    assert share("usage", {"watts": 100.0}, cpus(4, used_cpus=least), cpus(4, used_cpus=0.0)) == [95.0, 5.0, 0.0, 0.0]


def test_usage_gives_the_memorys_part_to_those_who_use_memory() -> None:
    idle, busy = cpus(4, used_cpus=0.0, memory=1e9), cpus(4, used_cpus=4.0, memory=0.0)

    assert share("usage", {"watts": 100.0, "dram_share": 0.5}, idle, busy) == pytest.approx([50, 50, 0, 0])


@pytest.mark.parametrize("size", [None, 0.0])
def test_a_node_of_unknown_size_is_nobodys(size: float | None) -> None:
    assert share("allocation", {"cpus": size}, cpus(4)) == [0.0, 0.0, 200.0]


def test_a_job_of_half_a_window_pays_half() -> None:
    node, run = {"watts": 100.0, "cpus": 4.0}, run_row()

    assert share("two_part", node, cpus(4, end=run["start"] + 430)) == [50.0, 50.0, 0.0]


def test_reservations_beyond_the_node_are_scaled_down() -> None:
    node = {"watts": 100.0, "cpus": 4.0, "memory_bytes": 100.0}

    assert share("two_part", node, cpus(4), cpus(0, allocated_memory_bytes=100.0)) == [50.0, 50.0, 0.0, 0.0]


def test_gpus_that_nobody_holds_are_idle_and_those_that_cannot_be_seen_unattributed() -> None:
    node = {"watts": 400.0, "gpu_watts": 400.0}

    assert gpu_watts(node, None) == (None, 400.0, 0.0)
    assert gpu_watts(node, {1: {"": 2}}) == (None, 0.0, 400.0)


def test_gpus_without_a_series_share_the_rest_with_those_that_nobody_holds() -> None:
    """Four GPUs draw 400 W, one busy one 250 W of it: the three idle ones 50 W each, two of them the silent job's."""
    node, runs = {"watts": 400.0, "gpu_watts": 400.0, "gpus": 4.0}, (run_row(1), run_row(2))

    assert gpu_watts(node, {1: {"": 1}, 2: {"": 2}}, gpu_row(watts=250.0), runs=runs) == (250.0, 100.0, 50.0, 0.0)


def test_gpus_that_a_job_has_not_opened_are_its_own_beside_those_that_it_has() -> None:
    """Four GPUs draw 400 W; the job has all of them and opened one, which draws 250 W."""
    node = {"watts": 400.0, "gpu_watts": 400.0, "gpus": 4.0}

    assert gpu_watts(node, {1: {"": 4}}, gpu_row(watts=250.0)) == (400.0, 0.0, 0.0)


def test_gpus_that_show_themselves_on_one_node_are_not_missing_on_the_other() -> None:
    """Two GPUs on two nodes are taken as one on each; both are on the first, and the second's draw nothing of it."""
    nodes = [node_row(node=name, watts=400.0, gpu_watts=400.0, gpus=4.0) for name in ("n1", "n2")]
    gpus = (gpu_row(watts=100.0), gpu_row(watts=100.0))
    site = Site(1, (run_row(nodes=["n1", "n2"]),), tuple(nodes), (), gpus, {1: {"": 2}})

    assert site.gains().runs["gpu_joules"].to_list() == [200.0 * WINDOW]


def test_gpus_never_take_more_than_the_node() -> None:
    """The chassis averages over longer than the GPUs: their sum is cut to what the node drew."""
    runs, gpus = (run_row(1), run_row(2)), (gpu_row(watts=300.0), gpu_row(job_id=102, watts=100.0))

    assert gpu_watts({"watts": 200.0}, {1: {"": 1}, 2: {"": 1}}, *gpus, runs=runs) == (150.0, 50.0, 0.0, 0.0)


def test_a_meter_without_gpus_has_those_of_the_jobs_on_top() -> None:
    gained = Site(1, (run_row(),), (node_row(lacks_gpus=True),), (), (gpu_row(watts=300.0),), {1: {"": 1}}).gains()
    power = gained.node_power.row(0, named=True)

    assert sum(power[f"{part}_watts"] for part in COMPONENTS) == 500.0


def test_slices_have_their_part_of_what_the_boards_drew() -> None:
    """The exporter repeats a board's power for each slice: seven slices would be seven boards."""
    node, runs = {"watts": 1000.0, "gpu_watts": 700.0, "gpus": 2.0}, (run_row(1), run_row(2))
    gpus_of = {1: {"a100_1g.5gb": 7}, 2: {"a100_3g.20gb": 1}}

    assert gpu_watts(node, gpus_of, runs=runs)[:2] == pytest.approx((350.0, 150.0))


def test_a_board_that_runs_share_counts_once() -> None:
    """Runs that hold less than a board (shards) all show its whole power; one that holds boards does not share them."""
    runs, node = tuple(run_row(number) for number in (1, 2, 3)), {"watts": 1000.0}
    gpus = [gpu_row(job_id=job_id, watts=300.0) for job_id in (101, 102, 103)]

    assert gpu_watts(node, {3: {"": 1}}, *gpus, runs=runs)[:3] == (150.0, 150.0, 300.0)


def test_a_node_that_shows_its_part_of_a_runs_gpus_hides_none_of_them() -> None:
    """Four GPUs on two nodes: those that no series shows are on the other one, and what is left here is nobody's."""
    nodes = [node_row(node=name, watts=1000.0, gpu_watts=700.0, gpus=4.0) for name in ("n1", "n2")]
    shown = [gpu_row(watts=250.0), gpu_row(watts=250.0)]
    site = Site(1, (run_row(nodes=["n1", "n2"]),), tuple(nodes), (), tuple(shown), {1: {"": 4}})
    assert site.gains().run_power["gpu_watts"].to_list() == [500.0 + 350.0]
