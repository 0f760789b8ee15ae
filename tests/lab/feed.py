"""The jobs that really run, read from slurmctld again and again in the background."""

import logging
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

_log = logging.getLogger(__name__)

_JOB = re.compile(r"^JobId=(\d+)(?: ArrayJobId=(\d+))?(?: HetJobId=(\d+))?", re.MULTILINE)
_USER = re.compile(r"^   UserId=(\S+)\((\d+)\)", re.MULTILINE)
_PARTITION = re.compile(r"^   Partition=(\S+)", re.MULTILINE)
_ACCOUNT = re.compile(r" Account=(\S+) ")
_STATE = re.compile(r"^   JobState=(\w+)", re.MULTILINE)
_START = re.compile(r"^   StartTime=(\S+)", re.MULTILINE)
_SHARE = re.compile(
    r"^     Nodes=(\S+) CPU_IDs=(\S+) Mem=(\d+) GRES=(?:gpu(?::[\w-]+)?:(\d+)(?:\(IDX:([\d,-]+)\))?)?", re.MULTILINE
)


@dataclass(frozen=True)
class NodeShare:
    """What a job has on one node."""

    cpus: tuple[int, ...]
    memory_bytes: int
    gpus: int
    gpu_indices: tuple[int, ...] = ()
    """Which GPUs of the node, by Slurm's numbers; empty where it does not say."""


@dataclass(frozen=True)
class RunningJob:
    """A running job, array task or component of a heterogeneous job."""

    job_id: int
    submitted_id: int
    """The id that sbatch gave: of the array or of the first component."""
    user: str
    account: str
    start: float
    nodes: dict[str, NodeShare]
    uid: int = 0
    partition: str = ""


def expand(text: str) -> list[str]:
    """Expand ``node[01-02,04]`` or ``0-3,8``."""
    prefix, bracket, inside = text.partition("[")
    expanded = []
    for part in (inside.rstrip("]") if bracket else text).split(","):
        first, dash, last = part.partition("-")
        if dash and first.isdigit():
            expanded += [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        else:
            expanded.append(part)
    return [prefix + part for part in expanded] if bracket else expanded


def parse_jobs(text: str) -> list[RunningJob]:
    """Parse ``scontrol show job -d``, times in UTC; jobs that do not run are left out."""
    return [job for block in re.split(r"\n(?=JobId=\d)", text) for job in _parse(block)]


def _parse(block: str) -> Iterator[RunningJob]:
    head, state = _JOB.match(block), _STATE.search(block)
    user, account, start = _USER.search(block), _ACCOUNT.search(block), _START.search(block)
    if not (head and user and account and start) or not state or state[1] != "RUNNING":
        return
    yield RunningJob(
        job_id=int(head[1]),
        submitted_id=int(head[2] or head[3] or head[1]),
        user=user[1],
        account=account[1],
        start=datetime.fromisoformat(start[1] + "+00:00").timestamp(),
        nodes=dict(_shares(block)),
        uid=int(user[2]),
        partition=partition[1] if (partition := _PARTITION.search(block)) else "",
    )


def _shares(block: str) -> Iterator[tuple[str, NodeShare]]:
    for hosts, cpus, memory_mb, gpus, indices in _SHARE.findall(block):
        share = NodeShare(
            tuple(map(int, expand(cpus))), int(memory_mb) << 20, int(gpus or 0),
            tuple(map(int, expand(indices))) if indices else (),
        )  # fmt: skip
        for host in expand(hosts):
            yield host, share


class JobFeed:
    """Keeps the last list of running jobs; while slurmctld does not answer, the old list stays."""

    def __init__(self, show_jobs: Callable[[], str], interval: float = 0.5) -> None:
        self._show_jobs = show_jobs
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lab-job-feed", daemon=True)
        self.jobs: list[RunningJob] = []

    def start(self) -> None:
        """Read the jobs once, then go on in the background."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def refresh(self) -> None:
        """Read the jobs now."""
        self.jobs = parse_jobs(self._show_jobs())

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self.refresh()
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                _log.debug("slurmctld does not answer: %s", error)
