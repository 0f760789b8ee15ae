"""One wasteful job from its submission to the message, through every part of the product, and its end."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab, wait_until
from tests.lab.alertmanager import Message
from tests.lab.behaviours import BEHAVIOURS
from tests.lab.notifications import ADDRESS
from tests.lab.ports import answers, free_port
from tests.lab.process import Daemon, lab_environment
from tests.lab.service import Service
from tests.lab.simulators import Fault
from tests.lab.site import EXEMPT, create_token, site_service

pytestmark = pytest.mark.lab

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "hunter2-is-not-a-good-one"
SCRIPT = f"export API_TOKEN={SECRET}; nvidia-smi; sleep 36000"
JOBS = "/api/v1/clusters/lab/jobs"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Give the story a lab of its own: messages are not told while another test keeps a source down."""
    with Lab() as started:
        yield started


@pytest.fixture(scope="module")
def service(lab: Lab) -> Iterator[Service]:
    with site_service(lab) as started:
        yield started


@pytest.fixture(scope="module")
def agent(lab: Lab, service: Service) -> Iterator[Daemon]:
    """Run the agent beside slurmctld, with a token that may do nothing else."""
    token = lab.root / "ingest.token"
    token.touch(mode=0o600)
    token.write_text(known_token(lab, service, "agent", "--scope=ingest:lab"))
    port = free_port()
    flags = [
        f"--slurm.state-save-location={lab.slurm.folder}/state", "--cluster=lab", f"--aggregator.url={service.url}",
        f"--aggregator.token-file={token}", f"--spool.path={lab.root}/spool.db", "--scan.interval=2s",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    started = Daemon(
        "hpc-jobscript-ingest",
        [sys.executable, "-m", "jobscript_ingest", *flags],
        log=lab.root / "agent.log",
        env=lab_environment(lab.root, PYTHONPATH=str(REPOSITORY)),
        ready=lambda: answers(port),
    )
    started.start()
    yield started
    started.stop()


class Reader:
    """Somebody with a token."""

    def __init__(self, service: Service, token: str) -> None:
        self._service = service
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> tuple[int, Any]:
        status, body = self._service.get(path, self._headers)
        return status, json.loads(body)

    def run(self, job_id: int) -> dict[str, Any]:
        status, answer = self.get(f"{JOBS}/{job_id}")
        assert status == 200, answer
        found: dict[str, Any] = answer["data"]["runs"][-1]
        return found


@pytest.fixture(scope="module")
def dave(lab: Lab, service: Service) -> Reader:
    return Reader(service, known_token(lab, service, "dave", "--scope=read:own", "--user=dave"))


@pytest.fixture(scope="module")
def bob(lab: Lab, service: Service) -> Reader:
    return Reader(service, known_token(lab, service, "bob", "--scope=read:own", "--user=bob"))


@pytest.fixture(scope="module")
def staff(lab: Lab, service: Service) -> Reader:
    return Reader(service, known_token(lab, service, "staff", "--scope=read:all"))


def known_token(lab: Lab, service: Service, name: str, *flags: str) -> str:
    """Make a token, and wait until the service has seen it: it looks at the file once in a second."""
    token = create_token(lab.root, name, *flags)
    headers = {"Authorization": f"Bearer {token}"}
    wait_until(lambda: service.get("/api/v1/whoami", headers)[0] != 401, 60, f"the token {name} to be known")
    return token


def submit_idle(lab: Lab, name: str) -> int:
    """Submit a job that holds a GPU and never opens it, as dave."""
    job_id = lab.slurm.submit(["-J", name, "--partition=gpu", "-c2", "--gres=gpu:a100:1"], "dave", command=SCRIPT)
    lab.simulators.behaviours[job_id] = BEHAVIOURS["gpu_idle"]
    lab.slurm.wait_state(job_id, "RUNNING")
    return job_id


def delivered(reader: Reader, job_id: int) -> bool:
    """Tell whether the agent's script is there; until then slurmdbd's is given, where Slurm keeps scripts itself."""
    status, answer = reader.get(f"{JOBS}/{job_id}/script")
    return status == 200 and answer["data"]["source"] == "agent"


def told(lab: Lab, job_id: int, status: str) -> list[Message]:
    """Find the messages in which an alert of this job has this status."""
    return [
        message
        for message in list(lab.notifications.inbox.messages)
        for alert in message.alerts
        if alert["labels"].get("slurmjobid") == str(job_id) and alert["status"] == status
    ]


@pytest.mark.usefixtures("agent")
def test_a_wasteful_job_is_found_explained_told_and_forgotten(
    lab: Lab, service: Service, dave: Reader, bob: Reader
) -> None:
    wasteful, exempt = submit_idle(lab, 'idle "gpus" 🚀'), submit_idle(lab, EXEMPT.replace("*", "debug"))
    efficient = lab.jobs["gpu_busy"]

    # Found, though no exporter shows its GPU.
    wait_until(lambda: bool(service.samples("hpc_job_waste", slurmjobid=str(wasteful))), 60, "the waste")
    (labels,) = service.samples("hpc_job_waste", slurmjobid=str(wasteful))
    assert (dict(labels)["reason"], dict(labels)["severity"]) == ("gpu_unused", "warning")

    # Its owner reads all of it.
    wait_until(lambda: dave.run(wasteful)["node_watts"] is not None, 60, "its power")
    run = dave.run(wasteful)
    (finding,) = run["waste"]
    assert (finding["reason"], finding["resource"]) == ("gpu_unused", "gpu")
    assert run["energy_joules_total"] > 0
    assert run["co2_grams_total"] > 0
    assert {cost["component"] for cost in run["costs"]} == {"electricity", "cooling", "hardware"}
    wait_until(lambda: delivered(dave, wasteful), 60, "its script")
    script = dave.get(f"{JOBS}/{wasteful}/script")[1]["data"]
    assert "nvidia-smi" in script["script"]
    assert SECRET not in script["script"]
    assert (script["source"], script["redactions"]) == ("agent", 1)

    # Nobody else does.
    unknown = bob.get(f"{JOBS}/99999999")
    assert unknown[0] == 404
    for path in (f"{JOBS}/{wasteful}", f"{JOBS}/{wasteful}/script"):
        status, answer = bob.get(path)
        assert status == 404
        assert str(wasteful) not in answer["error"].replace(f"job {wasteful}:", "")

    # It is told once, with amounts and a link; the others are not.
    wait_until(lambda: bool(told(lab, wasteful, "firing")), 60, "the message")
    message = told(lab, wasteful, "firing")[0]
    (alert,) = [one for one in message.alerts if one["labels"].get("slurmjobid") == str(wasteful)]
    assert message.group["user"] == "dave"
    assert "GPUs not used: 1 of 1." in alert["annotations"]["description"]
    assert "What to do: " in alert["annotations"]["description"]
    assert alert["annotations"]["job_url"] == f"{ADDRESS}/ui/clusters/lab/jobs/{wasteful}"
    assert told(lab, efficient, "firing") == []
    assert told(lab, exempt, "firing") == []
    because = dave.run(exempt)["not_judged"]
    assert [why for why in because if "exempt" in why["because"]]

    # Cancelled, it is over.
    lab.slurm.scancel(str(wasteful))
    lab.slurm.scancel(str(exempt))
    wait_until(lambda: bool(told(lab, wasteful, "resolved")), 60, "the message that it is over")


def test_a_job_whose_exporter_is_down_is_not_accused(lab: Lab, service: Service) -> None:
    """Nor is one younger than the minimum runtime, which for the other rules is half an hour: no job here is older."""
    key = str(lab.jobs["gpu_idle"])
    (node,) = next(job.nodes for job in lab.feed.jobs if job.job_id == lab.jobs["gpu_idle"])
    wait_until(lambda: bool(service.samples("hpc_job_waste", slurmjobid=key)), 60, "the waste")
    lab.simulators.set_fault(node, Fault.DOWN)
    try:
        wait_until(lambda: not service.samples("hpc_job_waste", slurmjobid=key), 60, "the end of the accusation")
        run = service.data(f"{JOBS}/{key}")["runs"][-1]
        assert run["waste"] == []
        assert any(node in why["because"] or "observed" in why["because"] for why in run["not_judged"])
    finally:
        lab.simulators.clear_faults()
    assert {dict(labels)["reason"] for labels in service.samples("hpc_job_waste")} <= {"gpu_unused"}


def test_scripts_of_every_kind_of_job_arrive(lab: Lab, service: Service, agent: Daemon, staff: Reader) -> None:
    """An array has one for all its tasks, a requeued job keeps its own, names may hold any bytes."""
    for name in ("plain", "array", "requeued", "latin1_name", "held"):
        wait_until(lambda name=name: delivered(staff, lab.jobs[name]), 60, f"the script of {name}")
        assert "sleep 36000" in service.data(f"{JOBS}/{lab.jobs[name]}/script")["script"]
    task = next(job.job_id for job in lab.feed.jobs if job.submitted_id == lab.jobs["array"])
    assert delivered(staff, task)
    assert agent.running


def test_no_script_is_lost_when_service_and_agent_are_killed(
    lab: Lab, service: Service, agent: Daemon, staff: Reader
) -> None:
    service.daemon.kill()
    job_id = lab.slurm.submit(["-J", "written_in_the_dark", "-n1"], "alice", command="echo dark; sleep 36000")
    wait_until(lambda: spool_holds(lab.root, b"echo dark"), 60, "the script in the spool")
    agent.kill()
    service.start()
    agent.start()

    wait_until(lambda: delivered(staff, job_id), 60, "the script")
    lab.slurm.scancel(str(job_id))


def spool_holds(folder: Path, text: bytes) -> bool:
    return any(text in file.read_bytes() for file in folder.glob("spool.db*"))


def test_a_token_for_something_else_delivers_nothing(lab: Lab, service: Service) -> None:
    token = known_token(lab, service, "other", "--scope=ingest:elsewhere")
    status, body = service.get("/api/v1/clusters/lab/jobscripts/1", {"Authorization": f"Bearer {token}"}, method="PUT")

    assert status == 403
    assert "ingest:lab" in json.loads(body)["error"]
