"""Like runs are the user's own of the same name, and where scripts are known of the same script."""

import hashlib
from typing import Any

from aggregator.model.accounting import JobState, Run
from aggregator.model.script import ScriptRecord
from tests.unit.api.builders import NOW, make_job, make_run, publish_jobs
from tests.unit.api.conftest import Service

JOB = "/ui/clusters/narval/jobs/101"
OLD, NEW = b"#SBATCH --mem=8G\nold\n", b"#SBATCH --mem=8G\nnew\n"


def ended(job_id: int, **changes: Any) -> Run:
    end = NOW - 5000 - job_id
    return make_run(job_id, state=JobState.COMPLETED, uid=7, end=end, start=end - 600, submit=end - 700, **changes)


async def serve(service: Service, *runs: Run) -> None:
    publish_jobs(service.store, make_job(101, uid=7))
    service.history.runs = runs
    service.kept.kept = {
        run.run_id: {"run_id": run.run_id, "cpu_efficiency_ratio": 0.2, "memory_efficiency_ratio": 0.1} for run in runs
    }


def record(job_id: int, content: bytes) -> tuple[ScriptRecord, bytes]:
    sha256 = hashlib.sha256(content).hexdigest()
    return ScriptRecord(
        job_id=job_id, written_at=NOW - 4000, sha256=sha256, size=len(content), truncated=False, redactions=0
    ), content


async def test_other_names_and_other_people_are_not_like(service: Service) -> None:
    await serve(service, ended(1), ended(2), ended(3, name="other"), ended(4, user="bob"))
    text = await (await service.get(JOB)).text()
    assert "2 runs of this name in 30 days" in text
    assert "/jobs/3" not in text
    assert "/jobs/4" not in text


async def test_runs_of_another_script_are_left_out_and_those_of_which_nothing_is_kept_stay(service: Service) -> None:
    await serve(service, ended(1), ended(2), ended(3))
    scripts = [record(101, NEW), record(1, NEW), record(2, OLD)]
    await service.state.scripts.save("narval", scripts, NOW)
    text = await (await service.get(JOB)).text()
    assert "2 runs of this name in 30 days" in text
    assert "/jobs/2" not in text


async def test_what_like_runs_have_used_becomes_a_line_of_the_script(service: Service) -> None:
    await serve(service, *(ended(job_id) for job_id in range(1, 9)))
    await service.state.scripts.save("narval", [record(101, NEW)], NOW)
    text = await (await service.get(JOB)).text()
    assert "#SBATCH --mem=<del>8G</del> <ins>" in text
    assert "--time=" in text
    assert "would have fitted" in text
