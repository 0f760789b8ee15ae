"""Daemons in the foreground under our control, and waiting with a deadline."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.lab.packages import SEARCH_PATH

# Every process of a lab carries this variable, so that strays (Slurm detaches its job steps
# from slurmd) can be found when the lab ends.
ROOT_VARIABLE = "HPC_LAB_ROOT"

_POLL_SECONDS = 0.05
_TAIL_LINES = 30


class DaemonError(RuntimeError):
    """A daemon did not start; the message ends with the tail of its log."""


def wait_until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Poll *condition* until it is true; after *timeout* seconds fail, naming *what*."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(_POLL_SECONDS)


def lab_environment(root: Path, **extra: str) -> dict[str, str]:
    """Return the environment of the lab's processes: small, in UTC, marked with *root*."""
    return {
        "PATH": SEARCH_PATH,
        "HOME": "/",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        ROOT_VARIABLE: str(root),
        **extra,
    }


class Daemon:
    """One server process, its log file and the test that says it is ready."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        ready: Callable[[], bool],
        timeout: float = 60,
    ) -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self.environment = dict(env)
        self._ready = ready
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id while the daemon runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start the process without waiting."""
        if self.running:
            raise DaemonError(f"{self.name} already runs")
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is for us, who stop it in the right order.
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                # slurmd's job steps inherit it, and are found by it when the lab ends.
                cwd=self.log.parent,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until the daemon is ready, or stop it and fail with its log."""
        try:
            wait_until(self._ready_or_dead, self._timeout, f"{self.name} to be ready")
        except TimeoutError as error:
            self.kill()
            raise DaemonError(f"{error}\n{self.tail()}") from error
        if not self.running:
            status = self._process.returncode if self._process else None
            raise DaemonError(f"{self.name} ended with status {status}\n{self.tail()}")

    def stop(self, timeout: float = 10) -> None:
        """End the process politely, then by force."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._signal_group(signal.SIGKILL)
        self._reap()

    def end(self, timeout: float) -> int:
        """End the process politely and return its status; TimeoutExpired when it takes longer."""
        assert self._process is not None, f"{self.name} does not run"
        self._process.terminate()
        status = self._process.wait(timeout)
        self._process = None
        return status

    def hang_up(self) -> None:
        """Send SIGHUP."""
        assert self._process is not None, f"{self.name} does not run"
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._signal_group(signal.SIGKILL)
        self._reap()

    def terminate(self) -> None:
        """Ask the process to end, without waiting: several daemons can then end together."""
        if self._process is not None:
            self._process.terminate()

    def tail(self) -> str:
        """Return the end of the log."""
        if not self.log.exists():
            return f"({self.log} does not exist)"
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- {self.log}:", *lines[-_TAIL_LINES:]])

    def _ready_or_dead(self) -> bool:
        return not self.running or self._ready()

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None


def kill_strays(root: Path) -> None:
    """Kill every process that belongs to the lab in *root* and is not our own."""

    def none_left() -> bool:
        strays = _strays(root)
        for pid in strays:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not strays

    wait_until(none_left, 60, f"the processes of {root} to end")


def _strays(root: Path) -> list[int]:
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if int(folder.name) != os.getpid() and _belongs(folder, root)
    ]


def _belongs(folder: Path, root: Path) -> bool:
    try:
        if f"{ROOT_VARIABLE}={root}".encode() in (folder / "environ").read_bytes().split(b"\0"):
            return True
        # slurmstepd overwrites its environment, but works in its slurmd's folder.
        is_step = (folder / "comm").read_text() == "slurmstepd\n"
        return is_step and (folder / "cwd").readlink().is_relative_to(root)
    except OSError:  # it has ended
        return False
