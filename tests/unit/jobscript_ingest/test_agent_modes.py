"""--once ends when everything is delivered, --dry-run sends nothing; a folder that is closed is said at the start."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from jobscript_ingest.agent import open_location
from jobscript_ingest.settings import FlagError
from tests.unit.jobscript_ingest.builders import TEXT, FakeSlurmctld
from tests.unit.jobscript_ingest.process import ROOT, agent_flags
from tests.unit.jobscript_ingest.receiver import Receiver

pytestmark = pytest.mark.process

NOBODY = 65534


async def run_agent(*flags: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "jobscript_ingest", *flags, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_once_delivers_everything_and_ends(slurm: FakeSlurmctld, receiver: Receiver, tmp_path: Path) -> None:
    for job_id in range(1, 251):
        slurm.submit(job_id)
    slurm.begin(251, b"#!/bin")

    status, _, err = await run_agent(*agent_flags(tmp_path, receiver.url, "--once"))

    assert (status, err) == (0, "")
    assert set(receiver.scripts) == set(range(1, 251))
    assert [len(request) for request in receiver.requests] == [100, 100, 50]


async def test_once_delivers_more_than_the_spool_holds(
    slurm: FakeSlurmctld, receiver: Receiver, tmp_path: Path
) -> None:
    for job_id in range(1, 11):
        slurm.submit(job_id, b"x" * 900)

    limits = ("--max-bytes=1000B", "--spool.max-bytes=2000B", "--once")
    status, _, _ = await run_agent(*agent_flags(tmp_path, receiver.url, *limits))

    assert status == 0
    assert set(receiver.scripts) == set(range(1, 11))


async def test_once_shows_its_progress_on_a_terminal(slurm: FakeSlurmctld, receiver: Receiver, tmp_path: Path) -> None:
    for job_id in range(1, 251):
        slurm.submit(job_id)
    ours, theirs = os.openpty()

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "jobscript_ingest", *agent_flags(tmp_path, receiver.url, "--once"), cwd=ROOT,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    shown = os.read(ours, 10_000).decode()
    os.close(ours)

    assert "scanning" in shown
    assert [f"{count} scripts to send" in shown for count in (150, 50, 0)] == [True] * 3
    assert shown.endswith("\n")


async def test_once_says_that_the_service_does_not_answer(slurm: FakeSlurmctld, tmp_path: Path) -> None:
    slurm.submit(1)

    status, _, err = await run_agent(*agent_flags(tmp_path, "http://127.0.0.1:9", "--once"))

    assert status == 1
    assert err.startswith("--aggregator.url: http://127.0.0.1:9/api/v1/clusters/narval/jobscripts: ")
    assert err.endswith("; the scripts stay in the spool\n")


async def test_once_says_what_was_refused(slurm: FakeSlurmctld, receiver: Receiver, tmp_path: Path) -> None:
    for job_id in (1, 2):
        slurm.submit(job_id)
    receiver.rejects = {2: "no"}

    status, _, err = await run_agent(*agent_flags(tmp_path, receiver.url, "--once"))

    assert status == 1
    assert "the service refused 1 scripts" in err
    assert set(receiver.scripts) == {1}


async def test_once_ends_by_a_signal(slurm: FakeSlurmctld, receiver: Receiver, tmp_path: Path) -> None:
    receiver.silent_before = True
    slurm.submit(1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "jobscript_ingest", *agent_flags(tmp_path, receiver.url, "--once"), cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(20):
        while not receiver.requests:
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGTERM)

    async with asyncio.timeout(5):
        assert await process.wait() != 0


async def test_a_dry_run_says_what_would_be_sent_and_nothing_of_it(
    slurm: FakeSlurmctld, receiver: Receiver, tmp_path: Path
) -> None:
    slurm.submit(1, b"export HF_TOKEN=hunter2\ncurl https://u:hunter2@x\n")
    slurm.submit(12, TEXT)
    slurm.begin(3, b"#!")
    slurm.begin(4).unlink()
    (slurm.folder(4) / "script").symlink_to("/etc/passwd")

    flags = (f"--slurm.state-save-location={slurm.root}", "--dry-run", "--max-bytes=40B")
    status, out, err = await run_agent(*flags)

    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "job 1: 49 bytes, cut at 40, 2 redactions: secret_variable=1 url_password=1",
        f"job 12: {len(TEXT)} bytes, 0 redactions",
        "job 3: not complete yet",
        "job 4: a link or another odd file is in its place, and is not followed",
    ]
    assert receiver.requests == []
    assert not (tmp_path / "spool").exists()


@pytest.fixture
def closed_location() -> Iterator[Path]:
    """Give a location with a folder that this user may not read."""
    with TemporaryDirectory() as name:
        slurm = FakeSlurmctld(Path(name) / "state")
        slurm.submit(1)
        Path(name).chmod(0o755)
        folder = slurm.root / "hash.1"
        folder.chmod(0o000 if os.geteuid() else 0o700)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        try:
            yield slurm.root
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            folder.chmod(0o700)


def test_a_location_that_is_closed_to_this_user_is_said_with_its_remedy(closed_location: Path) -> None:
    with pytest.raises(FlagError, match=r"hash\.1: permission denied: run as SlurmUser") as caught:
        open_location(closed_location)

    assert str(caught.value).startswith("--slurm.state-save-location: ")
