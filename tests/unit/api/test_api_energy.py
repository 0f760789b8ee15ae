"""Power, energy, CO2 and cost in answers: every model side by side, null for what was not measured."""

from typing import Any

from aggregator.model.accounting import JobState
from aggregator.model.energy import Prices
from aggregator.state import StateError
from tests.clusters import make_energy

from .builders import JOBS, NOW, frames_of, make_job, make_run, publish_jobs
from .conftest import Service

PRICES = Prices(pue=1.5, grams_per_kwh=30.0, zone="CA-QC", currency="CAD", per_kwh=0.1)
A_JOB = make_job()
LEDGER = {
    "run_id": A_JOB.run.run_id, "since": NOW - 3600, "until": NOW - 60, "power_seconds": 1770.0,
    "two_part_joules": 10.0, "allocation_joules": 20.0, "usage_joules": 30.0, "gpu_joules": 5.0, "gpu_seconds": 3540.0,
    "gpu_used_seconds": 354.0, "co2_grams": 0.25,
}  # fmt: skip
COSTS = [(A_JOB.run.run_id, "hardware", "CAD", 2.0), (A_JOB.run.run_id, "electricity", "CAD", 1.0)]
ENERGY = make_energy({**LEDGER, "node_watts": 100.0, "gpu_watts": 50.0}, costs=COSTS)


async def shown_of(service: Service, job_id: int = 101) -> Any:
    return (await service.data(f"{JOBS}/{job_id}"))["runs"][-1]


async def test_the_three_models_are_shown_side_by_side(service: Service) -> None:
    publish_jobs(service.store, A_JOB, inputs=[ENERGY], prices=PRICES)
    run = await shown_of(service)

    assert [run[f"{model}_energy_joules"] for model in ("allocation", "usage", "two_part")] == [25.0, 35.0, 15.0]
    assert (run["energy_joules_total"], run["coverage"]["power"]) == (15.0, 0.5)


async def test_power_co2_and_cost_come_with_units(service: Service) -> None:
    publish_jobs(service.store, A_JOB, inputs=[ENERGY], prices=PRICES)
    run = await shown_of(service)

    assert (run["node_watts"], run["gpu_watts"], run["co2_grams_total"]) == (100.0, 50.0, 0.25)
    assert run["costs"] == [
        {"component": "electricity", "currency": "CAD", "amount": 1.0},
        {"component": "hardware", "currency": "CAD", "amount": 2.0},
    ]
    assert run["gpu_efficiency_ratio"] == 0.1


async def test_a_run_that_was_not_measured_has_null_not_zero(service: Service) -> None:
    unmeasured = make_energy({"run_id": A_JOB.run.run_id, "since": NOW - 60, "until": NOW})
    publish_jobs(service.store, A_JOB, inputs=[unmeasured], prices=PRICES)
    run = await shown_of(service)

    assert (run["energy_joules_total"], run["node_watts"], run["co2_grams_total"], run["costs"]) == (
        None,
        None,
        None,
        [],
    )


async def test_a_run_that_the_ledger_has_not_seen_has_no_energy(service: Service) -> None:
    publish_jobs(service.store, make_job(), prices=PRICES)

    assert (await shown_of(service))["energy_joules_total"] is None


async def test_the_energy_of_an_ended_run_comes_from_the_state(service: Service) -> None:
    ended = make_run(state=JobState.COMPLETED, end=NOW - 9000)
    service.reader.runs = (ended,)
    service.ledger.totals = make_energy({**LEDGER, "run_id": ended.run_id}).totals
    publish_jobs(service.store, prices=PRICES)
    run = await shown_of(service)

    assert (run["energy_joules_total"], run["node_watts"], run["gpu_watts"]) == (15.0, None, None)


async def test_a_state_that_is_down_is_a_warning_not_a_missing_job(service: Service) -> None:
    service.reader.runs = (make_run(state=JobState.COMPLETED, end=NOW - 9000),)
    service.ledger.error = StateError("state.url: x: gone")
    publish_jobs(service.store, prices=PRICES)
    answer = await (await service.get(f"{JOBS}/101")).json()

    assert answer["data"]["runs"][0]["energy_joules_total"] is None
    assert "the energy of ended runs is missing: state.url: x: gone" in answer["warnings"]


async def test_a_cluster_shows_where_its_power_goes_and_the_factors(service: Service) -> None:
    row = {"window_end_seconds": NOW - 90, "jobs_watts": 2.5, "jobs_joules": 18.0, "idle_joules": 9.0,
           "unattributed_joules": 3.0}  # fmt: skip
    publish_jobs(service.store, make_job(), prices=PRICES, ledger_end=NOW - 90, frames=frames_of(cluster_energy=[row]))
    cluster = await service.data("/api/v1/clusters/narval")

    assert (cluster["jobs_watts"], cluster["idle_watts"], cluster["window_end_timestamp_seconds"]) == (
        2.5, None, NOW - 90,
    )  # fmt: skip
    assert [cluster[f"{part}_joules"] for part in ("jobs", "idle", "unattributed")] == [18.0, 9.0, 3.0]
    assert (cluster["prices"]["pue"], cluster["prices"]["zone"], cluster["prices"]["cpu_hour"]) == (1.5, "CA-QC", None)


async def test_a_cluster_without_a_ledger_has_no_energy(service: Service) -> None:
    publish_jobs(service.store, make_job())

    cluster = await service.data("/api/v1/clusters/narval")
    assert {cluster[name] for name in ("jobs_watts", "jobs_joules", "window_end_time", "prices")} == {None}
