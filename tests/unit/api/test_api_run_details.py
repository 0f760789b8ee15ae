"""The details of one run, in the answer for a single job."""

from typing import Any

import pytest

from aggregator.model.accounting import JobState
from aggregator.model.dependency import Dependency
from aggregator.model.jobid import JobId
from aggregator.model.run_details import ArrayTasks, Dependencies, NodeEvent, NodeEvents, Reservation, Submission
from aggregator.model.steps import Exit, Recorded, Step
from aggregator.sources.base import FetchError

from .builders import GIB, JOBS, NOW, make_job, make_run, publish_jobs
from .conftest import Service

STEP = Step(
    id="batch", name="batch", state=JobState.COMPLETED, start=NOW - 3600, end=NOW, tasks=1, nodes=1, exit=Exit(3, 0),
    cpu_seconds=7200.0, memory_bytes=2 * GIB, memory_task_bytes=GIB,
)  # fmt: skip
ENDED = {"state": JobState.FAILED, "end": NOW}


async def details(service: Service, job_id: object = 101) -> Any:
    return (await service.data(f"{JOBS}/{job_id}"))["runs"][-1]["around"]


async def test_all_details_of_a_run_are_shown(service: Service) -> None:
    publish_jobs(service.store)
    service.reader.runs = (make_run(**ENDED, run_id=8),)
    service.details.recorded = Recorded((STEP,), Exit(3, 0), 1001, 5000)
    service.details.events = NodeEvents((NodeEvent("n1", NOW - 9, None, ("down", "drain"), 'say "no"\n\N{ROCKET}'),))
    service.details.reservation = Reservation("course", NOW - 90, NOW)
    shown = await details(service)
    (step,) = shown["steps"]
    assert (step["id"], step["exit"], step["cpu_seconds"]) == ("101.batch", {"status": 3, "signal": 0}, 7200.0)
    assert (step["memory_bytes"], step["memory_task_bytes"], step["energy_joules"]) == (2 * GIB, GIB, None)
    assert (shown["exit"], shown["cancelled_by_uid"]) == ({"status": 3, "signal": 0}, 1001)
    assert (shown["recorded"]["energy_joules"], shown["recorded"]["energy_source"]) == (5000, "slurmdbd tres_alloc")
    (event,) = shown["node_events"]
    assert (event["states"], event["reason"], event["end_time"]) == (["down", "drain"], 'say "no"\n\N{ROCKET}', None)
    assert shown["reservation"]["name"] == "course"
    assert (shown["dependencies"], shown["array_tasks"], shown["components"]) == (None, None, None)


async def test_a_run_that_goes_on_has_no_exit_code(service: Service) -> None:
    publish_jobs(service.store, make_job())
    service.details.recorded = Recorded((), Exit(0, 0))
    assert (await details(service))["exit"] is None


@pytest.mark.parametrize("part", ["recorded", "events", "reservation", "dependencies", "tasks"])
async def test_each_part_fails_alone_into_a_warning(service: Service, part: str) -> None:
    publish_jobs(service.store, make_job())
    service.details.recorded, service.details.tasks = Recorded((STEP,)), ArrayTasks({"running": 1})
    service.details.events, service.details.reservation = NodeEvents(()), Reservation("r", NOW, None)
    service.details.dependencies = Dependencies(())
    service.details.errors = {part: FetchError("clusters.narval.slurmacct: gone")}
    body = await (await service.get(f"{JOBS}/101")).json()
    (warning,) = body["warnings"]
    assert warning.endswith("of the run are missing: clusters.narval.slurmacct: gone")
    shown = body["data"]["runs"][0]["around"]
    names = {"recorded": "steps", "events": "node_events", "tasks": "array_tasks"}
    missing = [
        name for name in ("steps", "node_events", "reservation", "dependencies", "array_tasks") if shown[name] is None
    ]
    assert missing == [names.get(part, part)]


async def test_a_database_that_is_down_is_not_asked_again_for_details(service: Service) -> None:
    publish_jobs(service.store, make_job())
    service.reader.error = FetchError("clusters.narval.slurmacct: down")
    body = await (await service.get(f"{JOBS}/101")).json()
    assert body["warnings"] == ["earlier runs may be missing: clusters.narval.slurmacct: down"]
    assert (body["data"]["runs"][0]["around"], service.details.asked) == (None, [])


async def test_what_failed_is_read_again_and_what_did_not_is_cached(service: Service) -> None:
    publish_jobs(service.store, make_job())
    service.details.errors = {"events": TimeoutError()}
    for _ in range(2):
        await service.data(f"{JOBS}/101")
    service.details.errors = {}
    for _ in range(2):
        await service.data(f"{JOBS}/101")
    assert len(service.details.asked) == 3


async def test_the_id_of_an_array_reads_the_details_of_its_newest_runs_only(service: Service) -> None:
    publish_jobs(
        service.store, *(make_job(n, array_job_id=900, array_task_id=n, submit=NOW - 100 + n) for n in range(9))
    )
    body = await (await service.get(f"{JOBS}/900")).json()
    assert [run["around"] is not None for run in body["data"]["runs"]] == [False] * 5 + [True] * 4
    assert body["warnings"] == ["around: only the newest 4 of 9 runs have it"]
    assert len(service.details.asked) == 4


async def test_an_ended_run_of_which_nothing_was_kept_has_its_efficiency_from_steps(service: Service) -> None:
    publish_jobs(service.store)
    service.reader.runs = (make_run(**ENDED, run_id=8, start=NOW - 3600),)
    service.details.recorded = Recorded((STEP,))
    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert (run["cpu_efficiency_ratio"], run["memory_efficiency_ratio"]) == (0.5, 0.25)
    assert (run["efficiency_source"], run["time_limit_used_ratio"]) == ("slurmdbd steps", 0.5)


@pytest.mark.parametrize("recorded", [None, Recorded(()), Recorded((Step(id="batch", name="", state=None),))])
async def test_steps_of_which_nothing_was_written_accuse_nobody(service: Service, recorded: Recorded | None) -> None:
    publish_jobs(service.store)
    service.reader.runs = (make_run(**ENDED, run_id=8),)
    service.details.recorded = recorded
    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert (run["cpu_efficiency_ratio"], run["memory_efficiency_ratio"]) == (None, None)


async def test_what_was_kept_of_a_run_comes_before_its_steps(service: Service) -> None:
    publish_jobs(service.store, make_job(**ENDED, use={"cpu_efficiency_ratio": 0.375}))
    service.details.recorded = Recorded((STEP,))
    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert (run["cpu_efficiency_ratio"], run.get("efficiency_source")) == (0.375, None)


def depend(service: Service) -> None:
    other = make_run(70, user="bob", name="secret", state=JobState.FAILED)
    service.reader.runs = (make_run(60, state=JobState.COMPLETED, end=NOW), other)
    conditions = tuple(Dependency("afterok", JobId(job)) for job in (60, 70, 80))
    waits = (Dependency("after", JobId(101), 5),)
    dependents = tuple(
        Submission(make_run(job, user=user, state=JobState.PENDING), waits)
        for job, user in ((201, "alice"), (202, "bob"))
    )
    service.details.dependencies = Dependencies((*conditions, Dependency("singleton")), dependents)
    publish_jobs(service.store, make_job(101))


async def test_dependencies_are_shown_both_ways(service: Service) -> None:
    depend(service)
    shown = (await details(service))["dependencies"]
    assert [(each["type"], each["id"], each["states"]) for each in shown["depends_on"]] == [
        ("afterok", "60", {"completed": 1}),
        ("afterok", "70", {"failed": 1}),
        ("afterok", "80", None),
        ("singleton", None, None),
    ]
    assert [each["id"] for each in shown["dependents"]] == ["201", "202"]
    assert shown["dependents"][0]["conditions"] == [{"type": "after", "id": "101", "delay_minutes": 5}]


async def test_of_a_job_that_may_not_be_seen_there_is_its_id_and_nothing_else(alice: Service) -> None:
    depend(alice)
    shown = (await details(alice))["dependencies"]
    assert shown["depends_on"][1] == {"type": "afterok", "id": "70", "delay_minutes": 0, "states": None}
    assert [each["id"] for each in shown["dependents"]] == ["201"]
    assert "secret" not in str(shown)


async def test_components_and_tasks_are_shown_with_their_states(service: Service) -> None:
    first = make_run(50, het_job_id=50, het_offset=0)
    service.reader.runs = (first, make_run(51, het_job_id=50, het_offset=1, state=JobState.COMPLETED, end=NOW))
    service.details.tasks = ArrayTasks({"running": 2, "pending": 7})
    publish_jobs(service.store)
    shown = await details(service, "50+0")
    assert [(each["id"], each["state"]) for each in shown["components"]] == [("50+0", "running"), ("50+1", "completed")]
    assert shown["array_tasks"] == {"running": 2, "pending": 7}
