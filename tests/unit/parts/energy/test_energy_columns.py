"""What a snapshot shows of the ledger: jobs, users, accounts, nodes and the cluster, and that they add up."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from aggregator.app.layouts import CLUSTERS
from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.ledger.totals import add, no_totals
from aggregator.model.job_inputs import RUNS, Runs
from aggregator.model.ledger import USER_TOTALS, LedgerTotals, LedgerView, Power
from aggregator.parts.energy.join import QUIET_SECONDS
from tests.builders import make_run
from tests.clusters import join_cluster, make_energy, make_totals
from tests.unit.ledger.ledger_site import BEGIN, PRICES, Row, Site, gpu_row, node_row, run_row, sites, used_row

SITE = Site(1, (run_row(),), (node_row(),), (used_row(),))
_ROUNDING = 1e-6


def view_of(site: Site) -> LedgerView:
    """Add up all windows of a site; the power is that of the last one."""
    gained = site.gains()
    power = Power(gained.window_end, gained.run_power, gained.node_power)
    return LedgerView(site.prices, add(no_totals(BEGIN), gained), power)


def runs_of(site: Site) -> Runs:
    rows = [
        {
            **{name: row[name] for name in ("run_id", "job_id", "user", "account", "start", "end", "nodes")},
            "state": "suspended" if row["is_suspended"] else "running", "submit": BEGIN - 500.0,
            "suspended_seconds": 0.0, "pending_tasks": 0, "job_name": "", "granted_cpus": int(row["allocated_cpus"]),
            "granted_nodes": len(row["nodes"]), "granted_gpus": 0, "gpu_types": "",
        }
        for row in site.runs
    ]  # fmt: skip
    return Runs(pl.DataFrame(rows, schema=RUNS))


def shown(site: Site = SITE, view: LedgerView | None = None) -> Frames:
    joined = CLUSTERS.join(Inputs(runs_of(site), view or view_of(site)), BEGIN + 60)
    assert not joined.failed
    return joined.frames


def users_of(frames: Frames, table: str = "user_energy") -> list[tuple[str, str]]:
    return frames[table].select("account", "user").rows()


def test_a_job_has_its_energy_by_every_model_and_its_power() -> None:
    (job,) = shown()["jobs"].to_dicts()

    assert job["two_part_energy_joules"] == job["energy_joules_total"] == pytest.approx(60 * 150.0)
    assert job["allocation_energy_joules"] == pytest.approx(60 * 100.0)
    assert (job["node_watts"], job["gpu_watts"]) == (pytest.approx(150.0), None)
    assert (job["power_coverage_ratio"], job["watts_coverage_ratio"], job["redfish_coverage_ratio"]) == (1.0, 1.0, 1.0)


def test_the_energy_of_its_own_gpus_is_in_that_of_a_job_once() -> None:
    site = replace(SITE, gpus=(gpu_row(watts=50.0),), gpus_of={1: {"a100": 1}})
    (job,) = shown(site)["jobs"].to_dicts()

    assert (job["gpu_energy_joules"], job["gpu_watts"]) == (pytest.approx(3000.0), pytest.approx(50.0))
    assert job["energy_joules_total"] == pytest.approx(60 * (job["node_watts"] + job["gpu_watts"]))


def test_a_job_of_which_nothing_was_measured_has_no_energy_which_is_not_zero() -> None:
    (job,) = shown(replace(SITE, nodes=()))["jobs"].to_dicts()

    assert (job["energy_joules_total"], job["two_part_energy_joules"], job["node_watts"]) == (None, None, None)
    assert job["power_coverage_ratio"] == 0.0
    assert job["gpu_efficiency_ratio"] is None


def test_while_the_power_is_stale_the_energy_is_shown() -> None:
    frames = shown(view=replace(view_of(SITE), power=None))
    (job,), (node,), (cluster,) = (frames[name].to_dicts() for name in ("jobs", "node_energy", "cluster_energy"))

    assert (job["node_watts"], node["jobs_watts"], node["meter"], cluster["jobs_watts"]) == (None, None, None, None)
    assert job["energy_joules_total"] == node["jobs_joules"] == cluster["jobs_joules"] == pytest.approx(9000.0)


def test_a_run_that_was_requeued_in_the_last_window_has_its_power_under_the_owner_of_the_id() -> None:
    """It has no series of its own, and without its power the jobs would not add up to their nodes."""
    runs = (run_row(job_id=7, end=BEGIN + 20), run_row(2, job_id=7, start=BEGIN + 30))
    jobs = {row["run_id"]: row for row in shown(replace(SITE, runs=runs))["jobs"].to_dicts()}

    assert (jobs[1]["is_owner"], jobs[2]["is_owner"]) == (False, True)
    assert jobs[2]["shown_node_watts"] == pytest.approx(jobs[1]["node_watts"] + jobs[2]["node_watts"])


def test_the_costs_of_a_job_a_user_and_an_account_are_a_row_each() -> None:
    frames = shown()
    of_job = {row["component"]: row["amount"] for row in frames["job_costs"].to_dicts()}

    assert set(of_job) == {"electricity", "cooling", "hardware"}
    for table in ("user_costs", "account_costs"):
        assert {row["component"]: row["amount"] for row in frames[table].to_dicts()} == pytest.approx(of_job)
        assert set(frames[table]["currency"]) == {PRICES.currency}


def at(totals: LedgerTotals, seconds: float) -> LedgerView:
    """Show a ledger that has gone on for so many seconds without these users."""
    return LedgerView(PRICES, replace(totals, window_end=totals.window_end + seconds))


def test_who_is_quiet_for_long_is_not_shown_and_stays_in_the_account() -> None:
    """An account's counter must not go back when a user falls silent."""
    bob: Row = run_row(2, user="bob", start=BEGIN + 60)
    site = Site(2, (run_row(end=BEGIN + 60), bob), (node_row(), node_row(1)), (used_row(), used_row(1, job_id=102)))
    totals = site.totals()
    both, only_bob, nobody = (shown(site, at(totals, QUIET_SECONDS + more)) for more in (-60.0, 0.0, 1.0))

    assert users_of(both) == [("def-kim", "alice"), ("def-kim", "bob")]
    assert users_of(only_bob) == users_of(only_bob, "user_costs")[:1] == [("def-kim", "bob")]
    for table in ("account_energy", "account_costs"):
        assert only_bob[table].equals(both[table])
        assert nobody[table].is_empty()
    assert nobody["user_energy"].is_empty()


def test_without_a_ledger_nothing_is_shown() -> None:
    frames = CLUSTERS.join(Inputs(runs_of(SITE)), BEGIN).frames

    assert all(frames[name].is_empty() for name in ("user_energy", "account_energy", "node_energy", "cluster_energy"))
    assert frames["jobs"]["energy_joules_total"].to_list() == [None]


def test_the_ledger_is_shown_also_while_slurmacct_does_not_answer() -> None:
    frames = CLUSTERS.join(Inputs(view_of(SITE)), BEGIN).frames

    assert (len(frames["jobs"]), len(frames["user_energy"]), len(frames["node_energy"])) == (0, 1, 1)


def test_a_ledger_of_no_node_has_no_power_which_is_not_zero() -> None:
    (cluster,) = shown(Site(1, (), ()))["cluster_energy"].to_dicts()

    assert cluster.pop("window_end_seconds") == BEGIN + 60
    assert set(cluster.values()) == {None}


def _sum(frame: pl.DataFrame, *columns: str) -> float:
    return sum(value for name in columns for value in frame[name].drop_nulls())


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=_ROUNDING)


@settings(max_examples=settings.default.max_examples // 2)
@given(sites())
def test_jobs_and_users_and_accounts_and_nodes_and_the_cluster_add_up(site: Site) -> None:
    frames = shown(site)
    joules = _sum(frames["cluster_energy"], "jobs_joules")

    for table, column in (
        ("node_energy", "jobs_joules"), ("user_energy", "energy_joules_total"),
        ("account_energy", "energy_joules_total"), ("jobs", "energy_joules_total"),
    ):  # fmt: skip
        assert _sum(frames[table], column) == near(joules), table
    for name in ("wasted_cpu_seconds_total", "wasted_gpu_seconds_total", "wasted_energy_joules_total"):
        wasted = _sum(frames["cluster_energy"], name)
        assert _sum(frames["user_energy"], name) == near(wasted), name
        assert _sum(frames["account_energy"], name) == near(wasted), name
    watts = _sum(frames["cluster_energy"], "jobs_watts")
    assert _sum(frames["node_energy"], "jobs_watts") == near(watts)
    assert _sum(frames["jobs"], "node_watts", "gpu_watts") == near(watts)


@settings(max_examples=settings.default.max_examples // 3)
@given(sites())
def test_costs_of_users_add_up_to_those_of_accounts_and_jobs_and_their_waste_to_the_clusters(site: Site) -> None:
    frames = shown(site)
    by = ["component", "currency"]

    def costs(table: str, amount: str = "amount") -> dict[tuple[str, str], float]:
        sums = frames[table].drop_nulls(amount).group_by(by).agg(pl.sum(amount))
        return {(row["component"], row["currency"]): row[amount] for row in sums.to_dicts()}

    assert costs("user_costs") == pytest.approx(costs("job_costs"), rel=1e-9)
    assert costs("account_costs") == pytest.approx(costs("job_costs"), rel=1e-9)
    wasted = costs("cluster_costs", "wasted_amount")
    assert costs("user_costs", "wasted_amount") == pytest.approx(wasted, rel=1e-9)
    assert costs("account_costs", "wasted_amount") == pytest.approx(wasted, rel=1e-9)


def test_no_more_than_all_of_a_runs_time_is_covered() -> None:
    """Windows are added up as floats."""
    frames = join_cluster([make_run()], None, make_energy({"run_id": 101, "power_coverage_ratio": 1.0 + 1e-9}))
    assert frames["jobs"]["power_coverage_ratio"].to_list() == [1.0]


def test_an_account_was_last_active_when_the_last_of_its_users_was() -> None:
    users = make_totals(
        USER_TOTALS,
        [{"user": name, "account": "def-kim", "until": BEGIN + number} for number, name in enumerate(("bob", "alice"))],
    )
    view = LedgerView(PRICES, replace(no_totals(BEGIN + 60), users=users))
    assert shown(view=view)["account_energy"]["until_seconds"].to_list() == [BEGIN + 1]


@pytest.mark.parametrize(("joules", "known"), [(0.0, None), (5.0, 5.0)])
def test_a_run_whose_gpus_drew_nothing_has_no_energy_of_gpus(joules: float, known: float | None) -> None:
    frames = join_cluster([make_run()], None, make_energy({"run_id": 101, "gpu_joules": joules}))
    assert frames["jobs"].select("gpu_energy_joules", "energy_joules_total").rows() == [(known, known)]
