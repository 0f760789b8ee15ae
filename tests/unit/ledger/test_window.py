"""What some closed windows add to runs, users and nodes."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from aggregator.ledger.totals import no_totals
from aggregator.ledger.window import gains
from aggregator.model.energy import Prices
from aggregator.model.readings import Windows
from tests.unit.ledger.ledger_site import BEGIN, PRICES, Row, Site, gpu_row, node_row, run_row, used_row

SITE = Site(1, (run_row(),), (node_row(),), (used_row(),))


def run_of(site: Site, number: int = 0) -> dict[str, Any]:
    return site.gains().runs.row(number, named=True)


def costs(gained: pl.DataFrame) -> list[tuple[float | None, ...]]:
    return gained.select("electricity_cost", "cooling_cost", "hardware_cost").rows()


def two(first: Row, second: Row, **changes: Any) -> Site:
    return replace(SITE, windows=2, nodes=(first, second), used=(used_row(), used_row(1)), **changes)


def test_a_run_gains_its_share_of_the_static_power_and_all_that_it_causes() -> None:
    run = run_of(SITE)

    assert run["two_part_joules"] == pytest.approx(60 * (50 + 100))
    assert (run["since"], run["until"], run["power_seconds"]) == (BEGIN, BEGIN + 60, 60.0)


def test_a_site_without_runs_gains_the_idle_power_of_its_nodes() -> None:
    gained = replace(SITE, runs=()).gains()

    assert (len(gained.runs), len(gained.users), len(gained.run_power)) == (0, 0, 0)
    assert gained.nodes.select("jobs_joules", "idle_joules", "unattributed_joules").row(0) == (0.0, 12_000.0, 0.0)


def test_where_nothing_is_known_nothing_is_gained_but_time() -> None:
    gained = Site(2, (run_row(),)).gains()

    assert (len(gained.nodes), len(gained.node_power), len(gained.run_power)) == (0, 0, 0)
    assert gained.runs.select("until", "power_seconds", "gpu_joules", "redfish_seconds").row(0) == (
        BEGIN + 120, 0.0, None, None,
    )  # fmt: skip


def test_co2_and_cost_follow_from_the_energy_and_the_factors() -> None:
    gained, kwh = SITE.gains(), 9_000.0 / 3.6e6

    assert gained.runs["co2_grams"].to_list() == pytest.approx([kwh * 1.2 * 30])
    electricity = kwh * 1.2 * 0.1
    assert costs(gained.runs) == [pytest.approx((electricity, electricity * 0.25, 16 * 0.01 / 60))]
    assert gained.runs["currency"].to_list() == ["CAD"]


def test_without_factors_nothing_is_priced() -> None:
    gained = replace(SITE, prices=Prices()).gains()

    assert (gained.runs["co2_grams"].to_list(), costs(gained.runs)) == ([None], [(None, None, None)])
    assert costs(gained.users) == [(None, None, None)]


def test_the_hours_of_gpus_are_priced_by_type_or_not_at_all() -> None:
    prices = Prices(currency="CAD", cpu_hour=9.0, gpu_hour={"a100": 0.6})
    site = Site(1, (run_row(1), run_row(2)), prices=prices, gpus_of={1: {"a100": 2}, 2: {"h100": 1, "a100": 1}})
    any_type = replace(site, prices=replace(prices, gpu_hour={"a100": 0.6, "default": 6.0}))

    assert site.gains().runs["hardware_cost"].to_list() == [pytest.approx(0.02), None]
    assert any_type.gains().runs["hardware_cost"].to_list() == pytest.approx([0.02, 0.11])


def test_a_node_that_was_not_measured_gives_no_energy_which_is_not_zero() -> None:
    """Nor do own GPUs: users would have more than the nodes."""
    gpus = (gpu_row(watts=150.0),)
    gained = replace(SITE, nodes=(node_row(watts=None),), gpus=gpus, gpus_of={1: {"": 1}}).gains()

    assert gained.runs.select("two_part_joules", "gpu_joules", "power_seconds").row(0) == (None, None, 0.0)
    assert (len(gained.nodes), gained.users["joules"].to_list(), costs(gained.runs)[0][0]) == (0, [None], None)


def test_zero_watts_are_measured() -> None:
    gained = replace(SITE, nodes=(node_row(watts=0.0),)).gains()

    assert gained.runs.select("two_part_joules", "co2_grams", "power_seconds").row(0) == (0.0, 0.0, 60.0)


def test_a_run_pays_for_its_part_of_a_window_only() -> None:
    run = run_of(replace(SITE, runs=(run_row(start=BEGIN + 15, end=BEGIN + 45),)))

    assert (run["since"], run["until"], run["power_seconds"]) == (BEGIN + 15, BEGIN + 45, 30.0)
    assert run["allocation_joules"] == pytest.approx(200 * 16 / 32 * 30)


@pytest.mark.parametrize(
    "changes",
    [{"start": None}, {"start": BEGIN + 60}, {"end": BEGIN}, {"start": BEGIN + 9, "end": BEGIN + 9}],
)
def test_a_run_that_was_not_there_in_the_window_gains_nothing(changes: dict[str, float | None]) -> None:
    assert replace(SITE, runs=(run_row(**changes),)).gains().runs.is_empty()


def test_the_coverage_of_a_run_is_the_time_in_which_its_nodes_were_measured() -> None:
    wide = two(node_row(), node_row(1, watts=None), runs=(run_row(nodes=["n1", "n2"]),))

    assert run_of(wide)["power_seconds"] == 0.25 * 120


def test_what_a_run_holds_is_spread_evenly_over_its_nodes() -> None:
    nodes = (node_row(), node_row(node="n2", watts=100.0))
    run = run_of(replace(SITE, runs=(run_row(nodes=["n1", "n2"]),), nodes=nodes))

    assert run["allocation_joules"] == pytest.approx(60 * (200 + 100) * 8 / 32)


def test_windows_need_not_last_whole_seconds() -> None:
    """The end of the last window is the same number, however it is computed."""
    windows = Windows(0.1, 0.7, 29)
    runs = SITE.runs_frame().with_columns(start=pl.lit(0.0))
    gained = gains(
        replace(Site(1).readings(), windows=windows), runs, SITE.allocated_gpus(), no_totals(0.1).meters, PRICES
    )

    assert (gained.runs["until"].to_list(), gained.users["until"].to_list()) == ([windows.end], [windows.end])


def test_the_power_of_a_run_on_two_nodes_is_that_of_those_measured_and_says_so() -> None:
    """Or the jobs would not add up to their nodes."""
    runs = (run_row(nodes=["n1", "n2"]), run_row(2))
    gained = replace(SITE, runs=runs, used=(used_row(), used_row(job_id=102))).gains()

    assert dict(gained.run_power.select("run_id", "coverage").iter_rows()) == {1: 0.5, 2: 1.0}
    assert gained.run_power["two_part_watts"].sum() == pytest.approx(gained.node_power["jobs_watts"].sum())


def test_a_window_that_is_covered_in_part_gives_a_part_of_the_joules() -> None:
    gained = replace(SITE, nodes=(node_row(covered=0.5),)).gains()
    node = gained.nodes.row(0, named=True)

    assert gained.runs.select("two_part_joules", "power_seconds").row(0) == (pytest.approx(30 * (50 + 100)), 30.0)
    assert (node["power_seconds"], node["jobs_joules"] + node["idle_joules"]) == (30.0, pytest.approx(30 * 200))


def test_a_fall_back_meter_adds_energy_and_covers_nothing() -> None:
    gained = two(node_row(), node_row(1, watts=100.0, meter="rapl")).gains()
    run, node = gained.runs.row(0, named=True), gained.nodes.row(0, named=True)

    assert (run["redfish_seconds"], run["rapl_seconds"], run["power_seconds"]) == (60.0, 60.0, 60.0)
    assert sum(node[f"{part}_joules"] for part in ("jobs", "idle", "unattributed")) == pytest.approx(60 * 300)
    assert (node["meter"], node["power_seconds"], node["fallback_seconds"]) == ("redfish", 60.0, 60.0)


def test_the_only_meter_of_a_node_is_no_fall_back_until_there_is_a_better_one() -> None:
    gained = two(node_row(meter="rapl"), node_row(1)).gains()

    assert gained.runs["power_seconds"].to_list() == [120.0]
    assert gained.nodes.select("meter", "power_seconds", "fallback_seconds").row(0) == ("redfish", 120.0, 0.0)


def test_a_meter_that_shows_nothing_is_not_the_nodes_best() -> None:
    gained = two(node_row(watts=None), node_row(1, meter="rapl")).gains()

    assert gained.nodes.select("meter", "power_seconds").row(0) == ("rapl", 60.0)


def test_a_job_whose_use_is_not_known_is_not_covered() -> None:
    run = run_of(replace(SITE, nodes=(node_row(vouches_cpus=False),), used=()))

    assert (run["power_seconds"], run["two_part_joules"]) == (0.0, pytest.approx(60 * 50))


def test_a_node_of_unknown_size_is_measured_and_covers_nothing() -> None:
    run = run_of(replace(SITE, nodes=(node_row(cpus=None),)))

    assert (run["power_seconds"], run["redfish_seconds"]) == (0.0, 60.0)


def test_a_job_without_series_does_nothing_where_the_exporter_answers_unless_it_has_just_begun() -> None:
    young = run_of(replace(SITE, runs=(run_row(start=BEGIN + 1),), used=()))

    assert run_of(replace(SITE, used=()))["power_seconds"] == 60.0
    assert young["power_seconds"] == 0.0


def test_a_suspended_run_holds_no_cpus_from_when_it_was_suspended() -> None:
    run = run_row(is_suspended=True, suspended_since=BEGIN + 60)
    gained = two(node_row(), node_row(1), runs=(run,)).gains()

    assert gained.runs["allocation_joules"].to_list() == [200 * 16 / 32 * 60]
    assert gained.runs["hardware_cost"].to_list() == pytest.approx([16 * 0.01 / 60])
    assert run_of(replace(SITE, runs=(run_row(is_suspended=True),)))["allocation_joules"] == 0.0


def test_two_runs_of_one_job_id_have_what_it_used_while_they_were_there() -> None:
    """A requeue within a window: both have the node's samples, and together not more than it drew."""
    gained = replace(SITE, runs=(run_row(end=BEGIN + 20), run_row(2, job_id=101, start=BEGIN + 30))).gains()

    assert gained.run_power["two_part_watts"].sum() == pytest.approx(gained.node_power["jobs_watts"].sum())
    assert dict(gained.runs.select("run_id", "allocation_joules").iter_rows()) == pytest.approx({1: 2000, 2: 3000})


def refused(**changes: pl.DataFrame) -> str:
    readings = replace(SITE.readings(), **changes)
    with pytest.raises(ValueError, match=r".") as error:
        gains(readings, SITE.runs_frame(), SITE.allocated_gpus(), no_totals(BEGIN).meters, PRICES)
    return str(error.value)


def test_frames_that_are_not_as_declared_are_refused() -> None:
    """Two rows of one node would count its tenants twice."""
    site = SITE.readings()
    gaps = site.nodes.with_columns(covered=pl.lit(None, dtype=pl.Float64))

    assert refused(nodes=site.nodes.drop("watts")) == "nodes: the column watts is missing"
    assert refused(used=site.used.cast({"used_cpus": pl.String})) == "used.used_cpus: String instead of Float64"
    assert refused(nodes=gaps) == "nodes.covered: null has no meaning here"
    assert refused(nodes=site.nodes.vstack(site.nodes)) == "nodes: two rows of one key"
    assert refused(used=site.used.vstack(site.used)) == "used: two rows of one key"
    with pytest.raises(ValueError, match="runs: two rows of one key"):
        replace(SITE, runs=(run_row(), run_row())).gains()
