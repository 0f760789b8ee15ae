"""What the agent costs the host of slurmctld: it has nothing of the service in it that it does not need."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.jobscript_ingest.builders import FakeSlurmctld
from tests.unit.jobscript_ingest.process import ROOT, AgentProcess, wait_for
from tests.unit.jobscript_ingest.receiver import Receiver

pytestmark = pytest.mark.process

LIMIT_KIB = 60 * 1024
FOREIGN = {"aiomysql", "aiosqlite", "alembic", "cryptography", "isal", "jwt", "polars", "sqlalchemy"}
PARTS = {"aggregator.build", "aggregator.document", "aggregator.logs", "aggregator.model"}


def resident_kib(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def test_the_agent_runs_in_60_mib(tmp_path: Path, slurm: FakeSlurmctld, receiver: Receiver) -> None:
    agent = AgentProcess(tmp_path, receiver.url)
    for job_id in range(1, 301):
        slurm.submit(job_id, b"#!/bin/bash\nexport PASSWORD=secret\n" + b"srun ./model\n" * 300)
    await agent.start()
    try:
        await wait_for(lambda: len(receiver.scripts) == 300, "the scripts")
        assert resident_kib(agent.process.pid) < LIMIT_KIB
    finally:
        assert await agent.end(signal.SIGTERM) == 0


def test_the_agent_imports_of_the_service_only_its_model_and_how_files_are_read() -> None:
    program = "import sys, jobscript_ingest.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert {name.partition(".")[0] for name in modules} & FOREIGN == set()
    assert {".".join(name.split(".")[:2]) for name in modules if name.startswith("aggregator.")} <= PARTS
