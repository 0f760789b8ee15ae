"""An agent whose disk somebody fills: nothing is sent twice, nothing is lost, and it recovers by itself."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.unit.jobscript_ingest.builders import FakeSlurmctld
from tests.unit.jobscript_ingest.process import AgentProcess, wait_for
from tests.unit.jobscript_ingest.receiver import Receiver

SCRIPT_BYTES, FIRST, LATER = 200_000, range(1, 41), range(41, 61)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk of its own where the agent's spool will be."""
    folder = tmp_path / "spool"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
async def receiver(aiohttp_server: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await aiohttp_server(receiver.app())
    receiver.url = str(server.make_url("/prefix/"))
    yield receiver
    receiver.release()


def fill(disk: Path) -> Path:
    """Take all the space that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 4096):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
    return ballast


def text(job_id: int) -> bytes:
    return b"#!/bin/bash\n" + f"# {job_id}\n".encode() * (SCRIPT_BYTES // 8)


async def metric(agent: AgentProcess, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{agent.port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"hpc_jobscript_ingest_{name} ")))


async def until(agent: AgentProcess, name: str, wanted: float) -> None:
    last: list[float] = []
    for _ in range(2000):
        last = [await metric(agent, name)]
        if last == [wanted]:
            return
    raise AssertionError(f"{name} is {last}, not {wanted}")


async def test_a_full_disk_stops_reading_and_not_sending(tmp_path: Path, disk: Path, receiver: Receiver) -> None:
    slurm = FakeSlurmctld(tmp_path / "state")
    receiver.silent_before = True
    for job_id in FIRST:
        slurm.submit(job_id, text(job_id))
    agent = AgentProcess(tmp_path, receiver.url, "--scan.interval=60s", "--batch.max-scripts=5")
    await agent.start()
    try:
        await wait_for(lambda: bool(receiver.requests), "the first request")
        await until(agent, "scripts_found_total", len(FIRST))
        assert await metric(agent, "spool_full") == 0

        ballast = fill(disk)
        for job_id in LATER:
            slurm.submit(job_id, text(job_id))
        await until(agent, "spool_full", 1)

        receiver.silent_before = False
        receiver.release()
        await wait_for(lambda: set(FIRST) <= set(receiver.scripts), "what was in the spool, sent on a full disk")
        await until(agent, 'spool_scripts{state="unsent"}', 0)
        delivered = Counter(job_id for job_id, stored in receiver.scripts.items() for _ in stored)
        assert {job_id: delivered[job_id] for job_id in FIRST} == dict.fromkeys(FIRST, 1), "none is sent again"

        ballast.unlink()
        await wait_for(lambda: set(LATER) <= set(receiver.scripts), "the others, without a restart", 8)
        await until(agent, "spool_full", 0)
        assert all(receiver.content(job_id) == text(job_id) for job_id in (*FIRST, *LATER))
    finally:
        await agent.end(signal.SIGTERM)
