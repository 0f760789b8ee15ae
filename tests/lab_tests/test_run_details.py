"""Finished runs and their details, on a real Slurm: the same as sacct prints."""

from typing import Any

import pytest

from tests.lab import Lab, wait_until
from tests.lab.service import Service

pytestmark = pytest.mark.lab

JOBS = "/api/v1/clusters/lab/jobs"
FIELDS = ("JobID", "State", "ExitCode", "TotalCPU", "MaxRSS", "NTasks", "Start", "End")


def sacct_steps(lab: Lab, job_id: int) -> dict[str, dict[str, str]]:
    """Give sacct's lines of the steps of a job, by id."""
    output = lab.slurm.run(
        "sacct", "-D", "-P", "-n", "--noconvert", f"--format={','.join(FIELDS)}", f"--jobs={job_id}", "--allusers"
    )
    rows = (dict(zip(FIELDS, line.split("|"), strict=True)) for line in output.splitlines())
    return {row["JobID"]: row for row in rows if "." in row["JobID"]}


def seconds(text: str) -> float:
    """Read sacct's [[days-]hours:]minutes:seconds."""
    days, _, rest = text.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + 86_400 * int(days or 0)


def details(service: Service, job_id: object) -> Any:
    return service.data(f"{JOBS}/{job_id}")["runs"][-1]["around"]


def is_recorded(service: Service, job_id: int, steps: int) -> bool:
    """Tell whether slurmdbd has got the end of the job and of so many steps."""
    if service.get(f"{JOBS}/{job_id}")[0] != 200:
        return False
    found = details(service, job_id)
    return found["exit"] is not None and len([step for step in found["steps"] if step["exit"]]) >= steps


@pytest.fixture(scope="module")
def busy(lab: Lab, service: Service) -> int:
    """A job with steps that use CPU and memory, and that ended."""
    command = (
        'srun -n1 python3 -c "import time; x = bytearray(80_000_000)\nwhile time.process_time() < 7: pass"'
        "; srun -n1 sh -c 'exit 5'; exit 3"
    )
    job_id = lab.slurm.submit(["-J", "busy", "-n1"], "bob", command=command)
    lab.slurm.wait_state(job_id, "FAILED", timeout=180)
    wait_until(lambda: is_recorded(service, job_id, steps=3), 60, "the steps of the job in slurmacct")
    return job_id


def assert_equal_to_sacct(lab: Lab, service: Service, job_id: int) -> int:
    wait_until(lambda: is_recorded(service, job_id, len(sacct_steps(lab, job_id))), 60, f"the steps of job {job_id}")
    shown = {step["id"]: step for step in details(service, job_id)["steps"]}
    printed = sacct_steps(lab, job_id)
    assert shown.keys() == printed.keys()
    for name, row in printed.items():
        step = shown[name]
        assert step["state"] == row["State"].split(" ")[0].lower(), name
        # A shell that was ended by signal 15 exits with 143, which sacct shows as 15.
        assert f"{step['exit']['status'] % 128}:{step['exit']['signal']}" == row["ExitCode"], name
        assert (step["cpu_seconds"] or 0.0) == pytest.approx(seconds(row["TotalCPU"]), abs=0.002), name
        assert (step["memory_task_bytes"] or 0) == int(row["MaxRSS"] or 0), name
        assert step["tasks"] == int(row["NTasks"]), name
    return len(printed)


def test_the_steps_of_ended_jobs_equal_those_of_sacct(lab: Lab, service: Service, busy: int) -> None:
    assert assert_equal_to_sacct(lab, service, busy) >= 3
    for name in ("failed", "completed", "cancelled"):
        assert assert_equal_to_sacct(lab, service, lab.jobs[name]) >= 1, name


def test_a_job_that_used_its_cpu_has_an_efficiency_from_steps(lab: Lab, service: Service, busy: int) -> None:
    (run,) = service.data(f"{JOBS}/{busy}")["runs"]
    shown = run["around"]
    assert shown["exit"] == {"status": 3, "signal": 0}
    assert shown["recorded"]["cpu_seconds"] >= 5
    assert shown["recorded"]["memory_peak_bytes"] >= 80_000_000
    assert [step["exit"]["status"] for step in shown["steps"] if step["id"].endswith((".0", ".1"))] == [0, 5]


def test_each_run_of_a_requeued_job_has_its_own_steps(lab: Lab, service: Service) -> None:
    first, second = service.data(f"{JOBS}/{lab.jobs['requeued']}")["runs"]
    assert first["state"] == "requeued"
    assert {step["end_time"] is None for step in first["around"]["steps"]} <= {False}
    assert {step["state"] for step in second["around"]["steps"]} <= {"running"}


def test_array_and_heterogeneous_jobs_show_their_siblings(lab: Lab, service: Service) -> None:
    wait_until(
        lambda: details(service, f"{lab.jobs['array']}_1")["array_tasks"] == {"running": 3, "pending": 3},
        60,
        "the tasks of the array",
    )
    components = details(service, f"{lab.jobs['het']}+1")["components"]
    assert [each["id"] for each in components] == [f"{lab.jobs['het']}+0", f"{lab.jobs['het']}+1"]


def test_dependencies_are_found_both_ways(lab: Lab, service: Service) -> None:
    plain, dependent = lab.jobs["plain"], lab.jobs["dependent"]
    (condition,) = details(service, dependent)["dependencies"]["depends_on"]
    assert condition == {"type": "afterok", "id": str(plain), "delay_minutes": 0, "states": {"running": 1}}
    (waiting,) = details(service, plain)["dependencies"]["dependents"]
    assert (waiting["id"], waiting["state"]) == (str(dependent), "pending")


def test_finished_runs_are_found_by_time_and_added_up(lab: Lab, service: Service, busy: int) -> None:
    data = service.data(f"{JOBS}/history?start=1&end=2&user=bob")
    assert (data["jobs"], data["next_cursor"]) == ([], None)
    end = service.data(f"{JOBS}/{busy}")["runs"][0]["end_timestamp_seconds"]
    found = service.data(f"{JOBS}/history?start={end - 3600}&end={end + 1}&user=bob")["jobs"]
    assert {lab.jobs["failed"], lab.jobs["completed"], lab.jobs["cancelled"], busy} <= {run["job_id"] for run in found}
    assert {run["user"] for run in found} == {"bob"}
    failed = service.data(f"{JOBS}/history?start={end - 3600}&end={end + 1}&state=failed&account=def-lee")["jobs"]
    assert {lab.jobs["failed"], busy} <= {run["job_id"] for run in failed}
    of_bob = f"{JOBS}/history?start={end - 3600}&end={end + 1}&user=bob&group_by=state"
    groups = {group["state"]: group["jobs"] for group in service.data(of_bob)["jobs"]}
    assert groups["failed"] >= 2
    assert sum(groups.values()) == len(found)
