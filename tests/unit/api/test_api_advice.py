"""Advice on a job: from which runs, whose they are, and what is said where something is not known."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.accounting import JobState, Run
from aggregator.model.script import ScriptRecord
from aggregator.model.series import AvailableGraph, Line
from aggregator.sources.base import FetchError
from tests.builders import make_rule

from .builders import A_USE, GIB, JOBS, NOW, FakeSeries, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

ADVICE = f"{JOBS}/101/advice"
DAY = 86_400.0
OLD, NEW = b"#SBATCH --mem=9G\nold\n", b"#SBATCH --mem=8G\nnew\n"
SPARE = {**A_USE, "wasted_memory_bytes": 1.0 * GIB}


def ended(job_id: int, **changes: Any) -> Run:
    end = NOW - 5000 - job_id
    facts = {"state": JobState.COMPLETED, "uid": 7, "end": end, "start": end - 3600, "submit": end - 3700, **changes}
    return make_run(job_id, **facts)


def serve(service: Service, *runs: Run, **job: Any) -> None:
    """Publish job 101 of alice, and keep of ended runs that they used a tenth of their memory."""
    publish_jobs(service.store, make_job(101, **{"uid": 7, "use": SPARE, "time_limit_seconds": DAY, **job}))
    service.history.runs = runs
    service.kept.kept = {
        run.run_id: {"run_id": run.run_id, "cpu_efficiency_ratio": 0.2, "memory_efficiency_ratio": 0.1} for run in runs
    }


def record(job_id: int, content: bytes) -> tuple[ScriptRecord, bytes]:
    sha256 = hashlib.sha256(content).hexdigest()
    return ScriptRecord(
        job_id=job_id, written_at=NOW - 4000, sha256=sha256, size=len(content), truncated=False, redactions=0
    ), content


def similar(advice: Any) -> list[str]:
    return [each["id"] for each in advice["similar_runs"]]


def lines(advice: Any) -> list[tuple[str, str, str | None]]:
    return [(each["option"], each["requested"], each["suggested"]) for each in advice["changes"]]


async def test_a_line_says_what_it_rests_on(service: Service) -> None:
    serve(service, *(ended(job_id) for job_id in range(1, 4)))
    await service.state.scripts.save("narval", [record(101, NEW)], NOW)
    advice = await service.data(ADVICE)
    memory, time = advice["changes"]
    assert memory == {
        "resource": "memory", "option": "--mem", "requested": "8G", "suggested": "3G",
        "why": "Less memory has been used.", "used": 2.0 * GIB, "unit": "bytes", "quantile": 0.95, "runs": 4,
    }  # fmt: skip
    assert time == {
        "resource": "time", "option": "--time", "requested": "1-00:00:00", "suggested": "01:15:00",
        "why": "Runs of this name have ended long before the limit.", "used": 3600.0, "unit": "seconds",
        "quantile": 0.95, "runs": 3,
    }  # fmt: skip
    assert (advice["id"], advice["run_id"], advice["reason"]) == ("101", "9001", None)
    assert (advice["runs"], advice["fitted"]) == (4, 4)
    assert advice["similar_runs"][0] == {
        "id": "1", "run_id": "8901", "state": "completed", "end_time": "2023-11-14T20:49:59Z",
        "end_timestamp_seconds": NOW - 5001, "elapsed_seconds": 3600.0, "granted_cpus": 4, "granted_gpus": 2,
        "granted_memory_bytes": 8 * GIB, "cpu_efficiency_ratio": 0.2, "memory_efficiency_ratio": 0.1,
        "gpu_efficiency_ratio": None,
    }  # fmt: skip


async def test_other_names_other_people_and_the_run_itself_are_not_similar(service: Service) -> None:
    serve(service, ended(1), ended(2), ended(3, name="other"), ended(4, user="bob"), ended(101, submit=NOW - 9000))
    assert similar(await service.data(ADVICE)) == ["1", "2"]


async def test_tasks_of_an_array_are_similar(service: Service) -> None:
    serve(service, *(ended(n, array_job_id=50, array_task_id=n) for n in (1, 2)), array_job_id=90, array_task_id=3)
    assert similar(await service.data(ADVICE)) == ["50_1", "50_2"]


async def test_runs_of_another_script_are_not_similar_and_those_of_which_no_script_is_kept_stay(
    service: Service,
) -> None:
    serve(service, ended(1), ended(2), ended(3))
    scripts = [record(101, NEW), record(1, NEW), record(2, OLD)]
    await service.state.scripts.save("narval", scripts, NOW)
    assert similar(await service.data(ADVICE)) == ["1", "3"]


async def test_a_run_whose_use_was_not_kept_gives_nothing(service: Service) -> None:
    serve(service, ended(1, state=JobState.FAILED), start=NOW - 60)
    service.kept.kept = {}
    advice = await service.data(ADVICE)
    assert (similar(advice), advice["runs"], advice["changes"]) == (["1"], 0, [])
    assert advice["reason"] == "It has run for less than half an hour, and the use of no similar run is known."


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ({"state": JobState.PENDING, "start": None}, "It has not started."),
        ({"use": {}}, "What it and similar runs have used is not known."),
        ({"use": A_USE}, "What it asks for fits what has been used."),
    ],
)
async def test_without_a_line_to_change_the_reason_is_said(service: Service, job: dict[str, Any], reason: str) -> None:
    serve(service, **job)
    advice = await service.data(ADVICE)
    assert (advice["changes"], advice["reason"]) == ([], reason)


async def test_without_similar_runs_advice_rests_on_the_run_alone(service: Service) -> None:
    serve(service, use={**SPARE, "memory_peak_bytes": 1.0 * GIB, "memory_efficiency_ratio": 0.125})
    (memory,) = (await service.data(ADVICE))["changes"]
    assert (memory["runs"], memory["suggested"]) == (1, "1300M")


async def test_what_cannot_be_read_is_said_and_is_asked_for_again(service: Service) -> None:
    serve(service, ended(1))
    service.history.error = FetchError("slurmacct", "gone")
    body = await (await service.get(ADVICE)).json()
    assert any(each.startswith("similar runs are missing:") for each in body["warnings"])
    assert body["data"]["similar_runs"] == []
    service.history.error = None
    assert similar(await service.data(ADVICE)) == ["1"]


class OfGpus(FakeSeries):
    """A source of the graph of GPUs alone."""

    def available(self, subject: str) -> dict[str, AvailableGraph]:
        return {"gpu_utilization": replace(super().available(subject)["cpu"], name="gpu_utilization")}


@pytest.fixture
def lit(idle_service: Service) -> FakeSeries:
    """The use of job 101's two GPUs, of which a rule has found idle ones."""
    job = make_job(101, uid=7)
    publish_jobs(idle_service.store, job, rules=[make_rule(name="gpu_partly_unused", resource="gpu")])
    idle_service.lines = OfGpus((Line({"gpu": "0"}, ((NOW - 60, 0.9),)), Line({"gpu": "1"}, ((NOW, 0.0),))))
    return idle_service.lines


async def test_gpus_that_were_never_used_are_given_back(
    idle_service: Service, lit: FakeSeries, aiohttp_client: Any
) -> None:
    idle_service.client = await aiohttp_client(idle_service.app())
    (gpus,) = (await idle_service.data(ADVICE))["changes"]
    assert gpus == {
        "resource": "gpus", "option": "--gpus", "requested": "a100:2", "suggested": "a100:1",
        "why": "Fewer GPUs have been used.", "used": 1.0, "unit": "gpus", "quantile": None, "runs": 1,
    }  # fmt: skip


async def test_without_the_graph_of_its_gpus_nothing_is_said_of_them(
    idle_service: Service, lit: FakeSeries, aiohttp_client: Any
) -> None:
    lit.error = FetchError("prometheus", "gone")
    idle_service.client = await aiohttp_client(idle_service.app())
    body = await (await idle_service.get(ADVICE)).json()
    assert body["data"]["changes"] == []
    assert any(each.startswith("the use of its GPUs is missing:") for each in body["warnings"])


@pytest.fixture
async def coordinator(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> Service:
    """The API to who sees the jobs of def-kim."""
    file = tmp_path / "tokens.yml"
    token = make_token(file, "bob00000", "read:account:def-kim")
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    idle_service.client = await aiohttp_client(app, headers=bearer(token))
    return idle_service


async def test_the_owner_sees_the_lines_of_the_script(alice: Service) -> None:
    serve(alice, ended(1), ended(2, account="other"))
    await alice.state.scripts.save("narval", [record(101, b"#SBATCH --mem-per-cpu=2G\n")], NOW)
    advice = await alice.data(ADVICE)
    assert lines(advice) == [("--mem-per-cpu", "2G", "768M")]
    assert similar(advice) == ["1", "2"]


async def test_who_may_not_see_the_script_or_some_runs_has_advice_without_them(coordinator: Service) -> None:
    serve(coordinator, ended(1), ended(2, account="other"))
    await coordinator.state.scripts.save("narval", [record(101, b"#SBATCH --mem-per-cpu=2G\n")], NOW)
    advice = await coordinator.data(ADVICE)
    assert lines(advice) == [("--mem", "8G", "3G")]
    assert similar(advice) == ["1"]


async def test_a_job_of_others_is_as_one_that_there_is_not(alice: Service) -> None:
    serve(alice, user="bob", account="other")
    status, kind, text = await alice.failure(ADVICE)
    assert (status, kind, text) == (404, "not_found", 'job 101: not known on cluster "narval"')


async def test_advice_that_a_client_has_is_not_made_again(service: Service) -> None:
    serve(service, ended(1))
    etag = (await service.get(ADVICE)).headers["ETag"]
    assert (await service.get(ADVICE, headers={"If-None-Match": etag})).status == 304
