"""The whole agent against a real server: what is written by slurmctld arrives, whatever dies in between."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.unit.jobscript_ingest.builders import TEXT, FakeSlurmctld
from tests.unit.jobscript_ingest.process import AgentProcess, wait_for
from tests.unit.jobscript_ingest.receiver import Receiver

pytestmark = pytest.mark.process


@pytest.fixture
async def agent(tmp_path: Path, slurm: FakeSlurmctld, receiver: Receiver) -> AsyncIterator[AgentProcess]:
    agent = AgentProcess(tmp_path, receiver.url)
    yield agent
    if agent.process.returncode is None:
        await agent.end(signal.SIGKILL)


async def page(agent: AgentProcess, path: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{agent.port}{path}") as response:
        assert response.status == 200
        return await response.text()


async def everything_settled(agent: AgentProcess) -> None:
    """Wait until the agent knows that all was stored: what it does not know it would send again."""
    async with asyncio.timeout(20):
        while 'spool_scripts{state="unsent"} 0.0' not in await page(agent, "/metrics"):
            await asyncio.sleep(0.01)


async def test_scripts_arrive_while_the_agent_runs(
    slurm: FakeSlurmctld, receiver: Receiver, agent: AgentProcess
) -> None:
    slurm.submit(1)
    await agent.start()
    await wait_for(lambda: 1 in receiver.scripts, "the script that was there")

    slurm.submit(2, b"caf\xe9\n")
    slurm.begin(3, b"#!/bin")
    await wait_for(lambda: 2 in receiver.scripts, "the script that came")
    slurm.submit(3)
    await wait_for(lambda: 3 in receiver.scripts, "the script that was completed")

    assert {job_id: receiver.content(job_id) for job_id in receiver.scripts} == {1: TEXT, 2: b"caf\xe9\n", 3: TEXT}
    assert await page(agent, "/-/healthy") == "hpc-jobscript-ingest is healthy.\n"
    metrics = await page(agent, "/metrics")
    assert "hpc_jobscript_ingest_scripts_found_total 3.0" in metrics
    assert "hpc_jobscript_ingest_spool_full 0.0" in metrics
    assert await agent.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("after", [False, True], ids=["before the service stores", "before its answer arrives"])
async def test_an_agent_that_is_killed_while_it_sends_loses_nothing(
    slurm: FakeSlurmctld, receiver: Receiver, agent: AgentProcess, after: bool
) -> None:
    receiver.silent_before, receiver.silent_after = not after, after
    for job_id in range(1, 31):
        slurm.submit(job_id)
    await agent.start()
    await wait_for(lambda: bool(receiver.requests), "the first request")
    await agent.end(signal.SIGKILL)
    # The spool is all that is left of them.
    for job_id in receiver.requests[0]:
        slurm.purge(job_id)

    receiver.silent_before = receiver.silent_after = False
    await agent.start()

    await wait_for(lambda: set(receiver.scripts) == set(range(1, 31)), "every script")
    assert {receiver.content(job_id) for job_id in receiver.scripts} == {TEXT}


async def test_an_agent_that_ends_while_it_sends_keeps_what_it_was_sending(
    slurm: FakeSlurmctld, receiver: Receiver, agent: AgentProcess
) -> None:
    receiver.silent_before = True
    slurm.submit(1)
    await agent.start()
    await wait_for(lambda: bool(receiver.requests), "the first request")
    assert await agent.end(signal.SIGTERM) == 0
    slurm.purge(1)
    receiver.silent_before = False

    await agent.start()

    await wait_for(lambda: 1 in receiver.scripts, "the script")


async def test_a_restart_sends_nothing_twice(slurm: FakeSlurmctld, receiver: Receiver, agent: AgentProcess) -> None:
    slurm.submit(1)
    for job_id in (2, 3):
        await agent.start()
        slurm.submit(job_id)
        await wait_for(lambda: job_id in receiver.scripts, "the new script")  # noqa: B023
        await everything_settled(agent)
        assert await agent.end(signal.SIGTERM) == 0

    assert sorted(job_id for request in receiver.requests for job_id in request) == [1, 2, 3]


async def test_no_secret_is_in_the_log_the_metrics_or_the_spool(
    slurm: FakeSlurmctld, receiver: Receiver, agent: AgentProcess, tmp_path: Path
) -> None:
    receiver.token = "another"
    slurm.submit(1, b"export DB_PASSWORD=hunter2\n")
    await agent.start()
    await wait_for(lambda: len(receiver.requests) >= 1, "a request")
    metrics = await page(agent, "/metrics")
    await agent.end(signal.SIGTERM)

    assert 'redactions_total{rule="secret_variable"} 1.0' in metrics
    shown = agent.log.read_text() + metrics
    assert "hunter2" not in shown
    assert "s3cret-token" not in shown
    for file in (tmp_path / "spool").iterdir():
        assert b"hunter2" not in file.read_bytes()
