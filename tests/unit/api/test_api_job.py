import pytest

from aggregator.model.accounting import JobState
from aggregator.state import StateError

from .builders import FETCH_ERROR, GIB, JOBS, NOW, make_job, make_run, make_status, publish_jobs
from .conftest import Service


async def test_a_run_is_shown_whole(service: Service) -> None:
    publish_jobs(service.store, make_job(101, run_id=9001))

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert {name: run[name] for name in ("id", "job_id", "run_id", "user", "account", "partition")} == {
        "id": "101",
        "job_id": 101,
        "run_id": "9001",
        "user": "alice",
        "account": "def-kim",
        "partition": "cpu",
    }
    assert (run["qos"], run["state"], run["job_name"], run["nodes"]) == ("normal", "running", "sim", ["n1"])
    assert (run["start_time"], run["start_timestamp_seconds"]) == ("2023-11-14T21:13:20Z", NOW - 3600)
    assert (run["end_time"], run["end_timestamp_seconds"]) == (None, None)
    assert (run["elapsed_seconds"], run["time_limit_seconds"]) == (3590.0, 7200.0)
    held = ("cpus", "memory_bytes", "nodes", "gpus", "gpu_equivalents")
    assert [run[f"allocated_{name}"] for name in held] == [4, 8 * GIB, 1, 2, 2.0]
    assert run["gpus"] == [{"gpu_type": "a100", "count": 2}]
    assert (run["array_job_id"], run["het_job_id"]) == (None, None)
    assert (run["used_cpus"], run["gpu_utilization_ratio"], run["wasted_gpus"]) == (1.5, 0.25, 1.5)
    assert (run["coverage"]["cpu"], run["coverage"]["memory"]) == (1.0, 0.5)
    assert (run["cpu_efficiency_ratio"], run["time_limit_used_ratio"]) == (0.375, 0.5)


async def test_a_run_has_the_fields_of_the_list_and_more(service: Service) -> None:
    publish_jobs(service.store, make_job(101))
    (row,), (run,) = (await service.data(JOBS))["jobs"], (await service.data(f"{JOBS}/101"))["runs"]
    more = {"waste": run["waste"], "not_judged": run["not_judged"], "around": run["around"], "alerts": []}
    assert run == {**row, **more}


async def test_what_is_not_known_is_null_not_zero(service: Service) -> None:
    publish_jobs(service.store, make_job(use={"used_cpus": 0.0, "cpu_coverage_ratio": 1.0, "gpu_coverage_ratio": 0.0}))

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert run["used_cpus"] == 0.0
    assert (run["memory_used_bytes"], run["running_threads"], run["gpu_utilization_ratio"]) == (None, None, None)
    assert (run["coverage"]["gpu"], run["coverage"]["memory"]) == (0.0, None)


async def test_a_run_without_gpus_uses_none(service: Service) -> None:
    publish_jobs(service.store, make_job(use={}))

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert (run["gpus_observed"], run["coverage"]["gpu"]) == (None, None)


async def test_a_run_id_of_64_bits_survives_as_a_string(service: Service) -> None:
    publish_jobs(service.store, make_job(run_id=2**64 - 1))

    assert (await service.data(f"{JOBS}/101"))["runs"][0]["run_id"] == "18446744073709551615"


@pytest.mark.parametrize(
    ("path", "asked"),
    [("123", "123"), ("123_4", "123_4"), ("123+1", "123+1"), ("123%2B1", "123+1"), ("123%5F4", "123_4")],
)
async def test_each_form_of_an_id_finds_its_runs(service: Service, path: str, asked: str) -> None:
    array_task = make_job(130, array_job_id=123, array_task_id=4)
    component = make_job(131, het_job_id=123, het_offset=1)
    publish_jobs(service.store, make_job(122), array_task, component)

    data = await service.data(f"{JOBS}/{path}")

    assert data["job_id"] == asked
    expected = {"123": ["123_4", "123+1"]}.get(asked, [asked])
    assert [run["id"] for run in data["runs"]] == expected


async def test_array_and_component_say_whose_they_are(service: Service) -> None:
    publish_jobs(
        service.store,
        make_job(1, array_job_id=1, state=JobState.PENDING, pending_tasks=7, start=None),
        make_job(2, het_job_id=2, het_offset=0),
    )

    (array,) = (await service.data(f"{JOBS}/1"))["runs"]
    (component,) = (await service.data(f"{JOBS}/2"))["runs"]

    assert (array["array_job_id"], array["array_task_id"], array["pending_tasks"]) == (1, None, 7)
    assert (array["id"], array["elapsed_seconds"]) == ("1_[…]", 0.0)
    assert (component["het_job_id"], component["het_offset"]) == (2, 0)


async def test_a_requeued_job_gives_its_runs_oldest_first(service: Service) -> None:
    ended = make_run(run_id=50, submit=NOW - 9000, start=NOW - 8000, end=NOW - 7000, state=JobState.NODE_FAIL)
    publish_jobs(service.store, make_job(run_id=60))
    service.reader.runs = (ended, make_run(run_id=60))

    runs = (await service.data(f"{JOBS}/101"))["runs"]

    assert [(run["run_id"], run["state"]) for run in runs] == [("50", "node_fail"), ("60", "running")]
    assert runs[0]["used_cpus"] is None
    assert runs[0]["elapsed_seconds"] == 1000.0
    assert runs[1]["used_cpus"] == 1.5


async def test_the_snapshot_wins_over_the_database(service: Service) -> None:
    publish_jobs(service.store, make_job(run_id=60))
    service.reader.runs = (make_run(run_id=60, state=JobState.PENDING),)

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert run["state"] == "running"


async def test_a_job_that_left_the_snapshot_is_read_from_the_database(service: Service) -> None:
    publish_jobs(service.store)
    service.reader.runs = (make_run(run_id=50, end=NOW - 10, state=JobState.COMPLETED),)

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert run["end_time"] == "2023-11-14T22:13:10Z"


async def test_a_failing_database_is_a_warning_when_the_snapshot_has_the_job(service: Service) -> None:
    publish_jobs(service.store, make_job())
    service.reader.error = FETCH_ERROR

    body = await (await service.get(f"{JOBS}/101")).json()

    assert len(body["data"]["runs"]) == 1
    assert body["warnings"] == [f"earlier runs may be missing: {FETCH_ERROR}"]


async def test_a_failing_database_is_unavailable_when_nothing_else_has_the_job(service: Service) -> None:
    publish_jobs(service.store, status=make_status(up=False, last_success=None))
    service.reader.error = FETCH_ERROR

    assert await service.failure(f"{JOBS}/101") == (503, "unavailable", str(FETCH_ERROR))


async def test_a_database_that_takes_too_long_is_a_timeout(service: Service) -> None:
    publish_jobs(service.store)
    service.reader.error = TimeoutError()

    assert await service.failure(f"{JOBS}/101") == (504, "timeout", "the answer took too long")


async def test_an_unknown_job_is_not_found_and_named(service: Service) -> None:
    publish_jobs(service.store, make_job())

    assert await service.failure(f"{JOBS}/7_1") == (404, "not_found", 'job 7_1: not known on cluster "narval"')


@pytest.mark.parametrize("path", ["abc", "1_2_3", "99999999999", "-1", "1%0A", "%F0%9F%A6%99"])
async def test_what_is_no_job_id_is_bad_data(service: Service, path: str) -> None:
    publish_jobs(service.store, make_job())

    status, kind, error = await service.failure(f"{JOBS}/{path}")

    assert (status, kind) == (400, "bad_data")
    assert error.startswith("job id: must be like 123, 123_4 or 123+1, got ")


async def test_a_time_beyond_the_calendar_does_not_spoil_the_answer(service: Service) -> None:
    publish_jobs(service.store, make_job(eligible=float(2**62)))

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert (run["eligible_time"], run["eligible_timestamp_seconds"]) == (None, 2**62)


async def test_an_ended_run_shows_the_use_that_was_kept_of_it(service: Service) -> None:
    service.reader.runs = (make_run(101, run_id=8, state=JobState.COMPLETED, end=NOW - 90_000),)
    service.kept.kept = {8: {"used_cpus": 3.5, "cpu_coverage_ratio": 1.0, "cpu_efficiency_ratio": 0.9}}
    publish_jobs(service.store)

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert run["used_cpus"] == 3.5
    assert run["cpu_efficiency_ratio"] == 0.9


async def test_a_state_that_fails_is_a_warning_and_the_facts_are_answered(service: Service) -> None:
    service.reader.runs = (make_run(101, run_id=8, state=JobState.COMPLETED, end=NOW - 90_000),)
    service.kept.error = StateError("state.url: /srv/state.db: database is locked")
    publish_jobs(service.store)

    response = await service.get(f"{JOBS}/101")
    answer = await response.json()

    assert response.status == 200
    assert answer["data"]["runs"][0]["used_cpus"] is None
    assert answer["warnings"] == ["the use of ended runs is missing: state.url: /srv/state.db: database is locked"]
