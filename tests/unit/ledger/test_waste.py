"""What runs held and did not use: of what was seen alone, in each window, and what it took of energy and money."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from aggregator.model.energy import COST_COMPONENTS, Prices
from tests.unit.ledger.ledger_site import BEGIN, Row, Site, gpu_row, node_row, run_row, sites, used_row

WINDOW = 60.0
IDLE = Site(1, (run_row(),), (node_row(),), (used_row(used_cpus=4.0),))
DOWN = dict.fromkeys(("vouches_cpus", "vouches_memory", "vouches_gpus"), False)


def wasted(site: Site) -> dict[str, Any]:
    """Give what the only user has wasted."""
    (row,) = site.totals().users.to_dicts()
    return {name.removeprefix("wasted_"): value for name, value in row.items() if name.startswith("wasted_")}


def wasted_costs(site: Site) -> dict[str, Any]:
    (row,) = site.totals().user_costs.to_dicts()
    return {name: row[f"wasted_{name}_cost"] for name in COST_COMPONENTS}


def cpu_seconds(*used: Row, **run: Any) -> Any:
    """Give the CPU time that a run with these changes wastes, whose nodes' exporters are up."""
    runs = (run_row(**run),)
    nodes = tuple(node_row(node=node) for node in runs[0]["nodes"])
    return wasted(Site(1, runs, nodes, used))["cpu_seconds"]


def test_cpus_that_are_held_and_not_used_are_wasted_with_their_part_of_the_energy() -> None:
    """12 of 16 CPUs, and three quarters of 150 W."""
    assert wasted(IDLE) == {"cpu_seconds": 12 * WINDOW, "gpu_seconds": None, "joules": pytest.approx(150 * 60 * 0.75)}
    electricity = 150 * 60 * 0.75 / 3.6e6 * 1.2 * 0.1
    assert wasted_costs(IDLE) == pytest.approx(
        {"electricity": electricity, "cooling": electricity * 0.25, "hardware": 12 * 0.01 / 60}
    )


def test_gpus_that_are_held_and_not_used_are_wasted_with_their_part_of_the_energy() -> None:
    """One and a half of two GPUs, which draw 100 W, and no CPU of the host, which draws 50 W at rest."""
    prices = Prices(currency="CAD", cpu_hour=9.0, gpu_hour={"a100": 0.6})
    gpus = (gpu_row(utilization=0.5, watts=60.0), gpu_row(utilization=0.0, watts=40.0))
    node = node_row(watts=150.0, static_watts=50.0)
    site = Site(
        1, (run_row(allocated_cpus=32.0),), (node,), (used_row(used_cpus=32.0),), gpus, {1: {"a100": 2}}, prices
    )

    assert wasted(site) == {"cpu_seconds": 0.0, "gpu_seconds": 1.5 * WINDOW, "joules": pytest.approx(100 * 60 * 0.75)}
    assert wasted_costs(site) == {"electricity": None, "cooling": None, "hardware": pytest.approx(1.5 * 0.6 / 60)}


def test_what_was_not_seen_is_not_wasted_which_is_not_zero() -> None:
    """Not even where the exporter answers: one that is blind shows no job at all."""
    blind = replace(IDLE, used=(), gpus_of={1: {"a100": 1}}, nodes=(node_row(vouches_gpus=False),))
    nothing = {"cpu_seconds": None, "gpu_seconds": None, "joules": None}

    assert wasted(blind) == wasted(replace(blind, nodes=(node_row(**DOWN),))) == nothing
    assert set(wasted_costs(blind).values()) == {None}
    assert wasted(replace(IDLE, windows=2, nodes=(node_row(), node_row(1, **DOWN)))) == wasted(IDLE)


def test_a_window_without_power_wastes_time_and_no_energy() -> None:
    assert wasted(replace(IDLE, nodes=(node_row(watts=None),))) == {**wasted(IDLE), "joules": None}


def test_no_window_takes_back_what_another_one_has_wasted() -> None:
    """A program that uses more than it holds makes up for nothing."""
    busy = (node_row(), node_row(1)), (used_row(used_cpus=4.0), used_row(1, used_cpus=40.0))
    site = replace(IDLE, windows=2, nodes=busy[0], used=busy[1])

    assert wasted(site) == wasted(IDLE)


def test_one_node_of_a_run_may_make_up_for_another() -> None:
    both = (used_row(used_cpus=12.0), used_row(node="n2", used_cpus=0.0))

    assert cpu_seconds(*both, nodes=["n1", "n2"]) == 4 * WINDOW


def test_four_of_five_nodes_are_enough_and_three_are_not() -> None:
    nodes = [f"n{number}" for number in range(1, 6)]
    used = [used_row(node=node, used_cpus=1.0) for node in nodes]

    assert cpu_seconds(*used[:4], nodes=nodes, allocated_cpus=20.0) == 4 * 3 * WINDOW
    assert cpu_seconds(*used[:3], nodes=nodes, allocated_cpus=20.0) is None


def test_a_run_wastes_only_while_it_is_there_and_not_while_it_is_suspended() -> None:
    idle = used_row(used_cpus=0.0)

    assert cpu_seconds(idle, end=BEGIN + 15) == 16 * 15.0
    assert cpu_seconds(idle, is_suspended=True) is None


def _of_each_run(site: Site) -> Iterator[tuple[tuple[str, str], float]]:
    """Give whose each run is, and the CPU time that it wasted in each window in which that is known."""
    used = {(row["window"], row["job_id"], row["node"]): row["used_cpus"] for row in site.used}
    for run in site.runs:
        count, nodes = len(run["nodes"]), run["nodes"]
        for window in range(site.windows):
            begin = BEGIN + window * WINDOW
            ends = begin + WINDOW, *([run["end"]] if run["end"] is not None else [])
            seconds = 0.0 if run["start"] is None else min(ends) - max(begin, run["start"])
            since = run["suspended_since"]
            is_away = run["is_suspended"] and (since is None or begin >= since)
            seen = [cpus for node in nodes if (cpus := used.get((window, run["job_id"], node))) is not None]
            held = run["allocated_cpus"] / count * len(seen) if count else 0.0
            if seconds > 0 and not is_away and held > 0 and len(seen) >= 0.8 * count:
                yield (run["user"], run["account"]), seconds * max(0.0, held - sum(seen))


@settings(max_examples=settings.default.max_examples // 4)
@given(site=sites())
def test_users_have_wasted_what_their_runs_have_and_no_more_than_they_had(site: Site) -> None:
    gained = site.gains()
    of = {run["run_id"]: (run["user"], run["account"]) for run in site.runs}
    cpus: dict[tuple[str, str], float] = {}
    for user, seconds in _of_each_run(site):
        cpus[user] = cpus.get(user, 0.0) + seconds
    gpus: dict[tuple[str, str], float] = {}
    for row in gained.runs.filter(gained.runs["gpu_seconds"] > 0).to_dicts():
        idle = row["gpu_seconds"] - row["gpu_used_seconds"]
        gpus[of[row["run_id"]]] = gpus.get(of[row["run_id"]], 0.0) + idle
    users = {(row["user"], row["account"]): row for row in gained.users.to_dicts()}

    for name, wanted in (("wasted_cpu_seconds", cpus), ("wasted_gpu_seconds", gpus)):
        found = {user: row[name] for user, row in users.items() if row[name] is not None}
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-6), name
    for row in users.values():
        for part, whole in (
            ("wasted_joules", "joules"),
            *((f"wasted_{name}_cost", f"{name}_cost") for name in COST_COMPONENTS),
        ):
            assert 0 <= (row[part] or 0.0) <= (row[whole] or 0.0) * (1 + 1e-9), part
