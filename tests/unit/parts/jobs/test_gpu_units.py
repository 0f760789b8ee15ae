"""GPUs in the units of a site: an hour of a small one is not an hour of a large one."""

from typing import Any

import pytest
from hypothesis import given

from aggregator.model.accounting import Run
from aggregator.model.job_inputs import Use
from aggregator.parts.jobs.settings import JobSettings
from tests.builders import NOW, make_allocation, make_gpu, make_run, make_use
from tests.clusters import join_cluster, make_energy
from tests.unit.parts.jobs.sites import runs, uses

UNITS = JobSettings(gpu_units={"a100": 4.0, "h100": 12.0})
COLUMNS = ("allocated_gpu_units", "wasted_gpu_units", "wasted_gpu_unit_seconds")


def row_of(settings: JobSettings | None, **gpus: int) -> dict[str, Any]:
    """Give a job whose first GPU is half used, and of which the ledger has half an hour of an hour."""
    count = sum(gpus.values())
    run = make_run(allocated=make_allocation(gpus=gpus))
    use = make_use(gpus={4711: [make_gpu(index=str(each), utilization=0.5) for each in range(count)]})
    energy = make_energy({"run_id": run.run_id})
    (row,) = join_cluster([run], use, energy, settings=settings)["jobs"].to_dicts()
    return row


def test_what_is_held_and_wasted_counts_in_the_units_of_its_type() -> None:
    row = row_of(UNITS, a100=2)
    assert [row[name] for name in COLUMNS] == [8.0, 4.0, 1800.0 * 4.0]
    assert row["wasted_gpus"] == 1.0


def test_a_slice_counts_its_part_of_its_board() -> None:
    assert row_of(UNITS, **{"a100_3g.20gb": 1})["allocated_gpu_units"] == pytest.approx(4 * 3 / 7)


def test_of_several_types_each_gpu_has_the_mean() -> None:
    row = row_of(UNITS, a100=1, h100=1)
    assert [row[name] for name in COLUMNS] == [16.0, 8.0, 1800.0 * 8.0]


@pytest.mark.parametrize(
    ("settings", "gpus"), [(UNITS, {"a100": 1, "v100": 1}), (UNITS, {"": 2}), (None, {"a100": 2}), (UNITS, {})]
)
def test_without_units_of_every_type_nothing_is_known(settings: JobSettings | None, gpus: dict[str, int]) -> None:
    row = row_of(settings, **gpus)
    assert [row[name] for name in COLUMNS] == [None, None, None]


@given(runs(), uses())
def test_sums_are_those_of_the_jobs_and_no_more_is_wasted_than_held(found: list[Run], use: Use) -> None:
    frames = join_cluster(found, use, settings=UNITS, at=NOW)
    jobs = frames["jobs"].filter("is_open").to_dicts()
    for row in frames["accounts"].to_dicts():
        own = [job for job in jobs if job["account"] == row["account"] and job["state"] in ("running", "suspended")]
        for name in COLUMNS:
            known = [job[name] for job in own if job[name] is not None]
            assert row[name] == (pytest.approx(sum(known)) if known else None)
    for job in jobs:
        if job["wasted_gpu_units"] is not None:
            assert job["wasted_gpu_units"] <= job["allocated_gpu_units"] + 1e-9
