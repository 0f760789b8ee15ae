"""Job scripts of a real slurmctld: as slurmdbd keeps them, and as an agent beside slurmctld delivers them."""

import base64
import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab, wait_until
from tests.lab.service import Service

pytestmark = pytest.mark.lab

JOBS = "/api/v1/clusters/lab/jobs"


def script_file(lab: Lab, job_id: int) -> Path:
    """Give the file in which slurmctld keeps the script that it starts."""
    return lab.slurm.folder / "state" / f"hash.{job_id % 10}" / f"job.{job_id}" / "script"


def written(lab: Lab, job_id: int) -> bytes:
    return script_file(lab, job_id).read_bytes().removesuffix(b"\0")


def shown(service: Service, path: object) -> Any:
    data = service.data(f"{JOBS}/{path}/script")
    content = data["script"].encode() if data["encoding"] == "utf-8" else base64.b64decode(data["script"])
    return content, data["source"]


def wait_shown(service: Service, path: object) -> None:
    wait_until(lambda: service.get(f"{JOBS}/{path}/script")[0] == 200, 60, "the script in slurmdbd")


@pytest.mark.parametrize("name", ["plain", "requeued", "gpu_busy", "weird_name"])
def test_the_script_is_that_which_slurmctld_started(lab: Lab, service: Service, name: str) -> None:
    job_id = lab.jobs[name]
    wait_shown(service, job_id)
    assert shown(service, job_id) == (written(lab, job_id), "slurmdbd")


def test_each_task_of_an_array_has_the_arrays_script(lab: Lab, service: Service) -> None:
    array = lab.jobs["array"]
    for path in (f"{array}_0", f"{array}_2", array):
        wait_shown(service, path)
        assert shown(service, path)[0] == written(lab, array)


def test_an_ended_job_keeps_its_script(lab: Lab, service: Service) -> None:
    wait_shown(service, lab.jobs["failed"])
    assert b"exit 3" in shown(service, lab.jobs["failed"])[0]


@pytest.mark.parametrize(
    ("name", "paths"),
    [("silent", ["{}"]), ("array", ["{}_1", "{}_2", "{}"]), ("het", ["{}+0", "{}+1"]), ("requeued", ["{}"])],
)
def test_what_an_agent_delivers_comes_first(lab: Lab, service: Service, name: str, paths: list[str]) -> None:
    """The file's own time, as slurmctld wrote it, must fall to the right run."""
    job_id = lab.jobs[name]
    content = written(lab, job_id)
    batch = {
        "job_id": job_id,
        "written_at": script_file(lab, job_id).stat().st_mtime,
        "content_base64": base64.b64encode(content).decode(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    request = urllib.request.Request(
        f"{service.url}/api/v1/clusters/lab/jobscripts",
        json.dumps({"scripts": [batch]}).encode(),
        {"Content-Type": "application/json", **service.headers},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        assert json.load(answer)["data"]["rejected"] == []
    for path in paths:
        assert shown(service, path.format(job_id)) == (content, "agent")
