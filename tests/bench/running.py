"""The service as a process of its own under the probe, and what can be measured of it from outside."""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.bench.board import Board
from tests.bench.clocks import cpu_seconds, memory_megabytes
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import wait_until
from tests.lab.service import Service

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_READY_SECONDS = 900.0
# With less than this share of a CPU, over this time, the service does nothing but wait.
_QUIET, _QUIET_SECONDS = 0.05, 0.5
_REST_SECONDS = 120.0
# Longer than the probe takes to see that the loop shall tick.
_TICKS_SECONDS = 0.5
# A window of a minute is closed and has settled, and a refresh has come by.
_LEDGER_SECONDS = 200.0
_SUCCESSES = "hpc_aggregator_source_fetch_duration_seconds_count"
_SNAPSHOT = "hpc_aggregator_snapshot_timestamp_seconds"
_LEDGER = "hpc_aggregator_ledger_window_timestamp_seconds"


class Moment(NamedTuple):
    """The clocks of a service at one moment: wall, CPU, the synthetic sources' part of it, fetches of slurmacct."""

    wall: float
    cpu: float
    spent: float
    fetches: float

    def cost(self, before: "Moment") -> float:
        """Give the CPU seconds of one refresh since a moment, without the synthetic sources'."""
        return (self.cpu - before.cpu - self.spent + before.spent) / max(self.fetches - before.fetches, 1.0)


class Running:
    """A service of one cluster; a context manager that ends it."""

    def __init__(self, root: Path, cluster: str, command: Sequence[str], probe: Sequence[str] = ()) -> None:
        """Prepare to run a command of hpc-aggregator, with flags for the probe; its files are in a folder *root*."""
        root.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.cluster = cluster
        self.board = Board(root / "board")
        self.service = Service(
            SimpleNamespace(root=root, service_port=port),  # type: ignore[arg-type]
            root,
            [
                sys.executable, "-m", "tests.bench.probe", str(root / "board"), *probe, "--",
                command[0], f"--web.listen-address={LOOPBACK}:{port}", *command[1:],
            ],
        )  # fmt: skip

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()

    # -- its life

    def start(self) -> tuple[float, float]:
        """Start it; give the CPU seconds and the seconds until its first whole snapshot."""
        began = time.monotonic()
        self.service.daemon.launch()
        wait_until(lambda: _paused(self._is_ready), _READY_SECONDS, "the first snapshot")
        return self.moment_of_clocks()[1], time.monotonic() - began

    def _is_ready(self) -> bool:
        if not self.service.daemon.running:
            raise RuntimeError(self.service.daemon.tail())
        try:
            return self.service.get("/-/ready")[0] == 200
        except OSError:
            return False

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Let the synthetic sources wait, so that no refresh runs."""
        self.board.held = True
        try:
            wait_until(self._is_quiet, _REST_SECONDS, "the service to come to rest")
            yield
        finally:
            self.board.held = False

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Let the event loop tick, so that it can be asked how late it was."""
        self.board.ticks = True
        try:
            time.sleep(_TICKS_SECONDS)
            yield
        finally:
            self.board.ticks = False

    def _is_quiet(self) -> bool:
        before = cpu_seconds(self.pid)
        time.sleep(_QUIET_SECONDS)
        return cpu_seconds(self.pid) - before < _QUIET * _QUIET_SECONDS

    # -- its clocks

    @property
    def pid(self) -> int:
        pid = self.service.daemon.pid
        assert pid is not None, "start() comes first"
        return pid

    def moment_of_clocks(self) -> tuple[float, float, float]:
        return time.monotonic(), cpu_seconds(self.pid), self.board.spent

    def moment(self) -> Moment:
        return Moment(*self.moment_of_clocks(), self.own(_SUCCESSES, source="slurmacct"))

    def next_refresh(self, timeout: float = 600.0) -> Moment:
        """Wait until another snapshot is published."""
        last = self.snapshot_time()
        wait_until(lambda: _paused(self.snapshot_time) != last, timeout, "a refresh")
        return self.moment()

    def catch_up(self) -> None:
        """Wait until the ledger has all windows that have closed."""
        wait_until(lambda: _paused(self.ledger_time) > time.time() - _LEDGER_SECONDS, _READY_SECONDS, "the ledger")

    def refresh_cost(self, refreshes: int, interval: float) -> float:
        """Give the CPU seconds of one refresh, the mean of some that follow each other."""
        before = self.next_refresh()
        # Asked for as rarely as possible: each question costs the service CPU time.
        time.sleep(max(0.0, (refreshes - 1.5) * interval))
        while (now := self.next_refresh()).fetches < before.fetches + refreshes:
            pass
        return now.cost(before)

    def memory(self) -> tuple[float, float]:
        return memory_megabytes(self.pid)

    # -- its answers

    def snapshot_time(self) -> float:
        return self.own(_SNAPSHOT, cluster=self.cluster)

    def ledger_time(self) -> float:
        return self.own(_LEDGER, cluster=self.cluster)

    def own(self, name: str, **labels: str) -> float:
        """Give the sum of a family of the service's own, 0 without a sample."""
        _, body = self.service.get("/metrics?collect[]=service", timeout=120)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = (_SAMPLE.fullmatch(line) for line in body.decode().splitlines() if line.startswith(name))
        return sum(
            float(each[3])
            for each in found
            if each and each[1] == name and all(text in (each[2] or "") for text in wanted)
        )

    def data(self, path: str) -> Any:
        return self.service.data(path)

    def below(self, path: str) -> str:
        """Give the path of something of the cluster."""
        return f"/api/v1/clusters/{self.cluster}{path}"

    def running_job(self) -> str:
        """Give the id of a running job."""
        return str(self.data(self.below("/jobs?state=running&limit=1"))["jobs"][0]["job_id"])

    def page_size(self) -> tuple[int, int]:
        """Give the samples of the page, and its bytes with gzip."""
        _, body = self.service.get("/metrics", {"Accept-Encoding": "gzip"}, timeout=120)
        samples = self.own("hpc_aggregator_series")
        return int(samples), len(body)


def _paused(ask: Any) -> Any:
    time.sleep(0.2)
    return ask()
