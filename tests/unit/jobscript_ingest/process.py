"""The agent as a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp.test_utils import unused_port

ROOT = Path(__file__).parents[3]


def agent_flags(folder: Path, url: str, *more: str) -> list[str]:
    """Give the flags of an agent whose files are in `folder`."""
    token = folder / "token"
    if not token.exists():
        token.write_text("s3cret-token\n")
        token.chmod(0o400)
    return [
        f"--slurm.state-save-location={folder / 'state'}",
        "--cluster=narval",
        f"--aggregator.url={url}",
        f"--aggregator.token-file={token}",
        f"--spool.path={folder / 'spool' / 'spool.db'}",
        "--scan.interval=200ms",
        *more,
    ]


class AgentProcess:
    """One process; what it logs is in `log`."""

    def __init__(self, folder: Path, url: str, *more: str) -> None:
        self.port = unused_port()
        self.log = folder / "agent.log"
        self._flags = [*agent_flags(folder, url, *more), f"--web.listen-address=127.0.0.1:{self.port}"]

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "jobscript_ingest", *self._flags, stderr=log, stdout=log, cwd=ROOT, env=os.environ
            )

    async def end(self, number: signal.Signals) -> int:
        """Signal the process, and give its status."""
        self.process.send_signal(number)
        async with asyncio.timeout(5):
            return await self.process.wait()


async def wait_for(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until the condition holds."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"waited {seconds} s for {what}") from None
