"""A real Slurm cluster of ten nodes: munged, slurmdbd, slurmctld and ten slurmd."""

import os
import pwd
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.lab.machine import alone
from tests.lab.mariadb import MariaDB
from tests.lab.packages import SLURM, ensure_packages, program
from tests.lab.ports import answers, free_port
from tests.lab.process import Daemon, kill_strays, lab_environment, wait_until
from tests.lab.slurm_config import NODES, SlurmFiles, Storage

DATABASE = "slurm_acct_db"

# Account → its parent, in the order of creation.
ACCOUNTS = {"def-kim": "root", "def-kim-sub": "def-kim", "def-lee": "root", "rrg-roy": "root"}

# User → accounts, the default one first.
USERS = {
    "alice": ("def-kim", "def-kim-sub"),
    "bob": ("def-lee",),
    "carol": ("rrg-roy", "def-kim-sub"),
    "dave": ("def-kim-sub", "def-kim"),
}

_SEPARATOR = "\x1f"  # may be in no field, unlike | which may be in a job's name

Argument = str | bytes


class Slurm:
    """The cluster *cluster*, with its accounts and users, in a folder of *root*."""

    def __init__(self, root: Path, mariadb: MariaDB, cluster: str = "lab") -> None:
        ensure_packages(SLURM)
        if os.geteuid() != 0:
            raise PermissionError("the lab's Slurm runs jobs as several users: start it as root")
        self.cluster = cluster
        self.folder = root / "slurm"
        self._root = root
        self._mariadb = mariadb
        self._munge_socket = self.folder / "munge.sock"
        self._munge_key = self.folder / "munge.key"
        self.files = SlurmFiles(
            root=self.folder,
            cluster=cluster,
            munge_socket=self._munge_socket,
            ctld_port=free_port(),
            dbd_port=free_port(),
            node_ports={node: free_port() for node in NODES},
            storage=Storage(mariadb.port, "slurm", secrets.token_hex(12), DATABASE),
        )
        self._env = lab_environment(root, SLURM_CONF=str(self.files.slurm_conf))
        self.munged = self._munged()
        self.slurmdbd = self._daemon("slurmdbd", ["-D"], ready=lambda: answers(self.files.dbd_port))
        self.slurmctld = self._daemon("slurmctld", ["-D"], ready=self._controller_answers)
        self.slurmd = {
            node: self._daemon(f"slurmd-{node}", ["-D", "-N", node], ready=partial(answers, port))
            for node, port in self.files.node_ports.items()
        }

    def start(self) -> None:
        """Start everything and wait until all nodes are idle."""
        self._prepare()
        self.munged.start()
        self.slurmdbd.start()
        self._add_accounts()
        self.slurmctld.start()
        for daemon in self.slurmd.values():
            daemon.launch()
        for daemon in self.slurmd.values():
            daemon.wait_ready()
        wait_until(self._all_idle, 60, "all nodes to be idle")

    def stop(self) -> None:
        """End all daemons and job steps."""
        daemons = [*self.slurmd.values(), self.slurmctld, self.slurmdbd, self.munged]
        # Nobody wants the jobs' last words: their steps would only hold the daemons up.
        for daemon in self.slurmd.values():
            daemon.kill()
        for daemon in daemons:
            daemon.terminate()
        for daemon in daemons:
            daemon.stop()
        kill_strays(self._root)

    # -- jobs

    def submit(self, args: Sequence[Argument], user: str = "alice", command: str = "sleep 36000") -> int:
        """Submit *command* as *user* with sbatch's *args* (bytes are passed as they are); return the job id."""
        return self._sbatch([*args, "--wrap", command], user)

    def submit_het(self, components: Sequence[Sequence[Argument]], user: str = "alice") -> int:
        """Submit a heterogeneous job, one list of sbatch's arguments per component; return the first's id."""
        first, *others = components
        args: list[Argument] = [*first, "--wrap", "sleep 36000"]
        for component in others:
            args += [":", *component]
        return self._sbatch(args, user)

    def scancel(self, *args: str) -> None:
        self.run("scancel", *args)

    def scontrol(self, *args: str) -> str:
        """Run scontrol and return what it prints."""
        return self.run("scontrol", *args)

    def wait_state(self, job_id: int, state: str, timeout: float = 60) -> None:
        """Wait until the job's state, in Slurm's long form such as ``RUNNING``, is *state*."""
        what = f"job {job_id} to be {state}"
        wait_until(
            lambda: any(row["state"] == state for row in self.squeue() if row["id"] == str(job_id)),
            timeout,
            what,
        )

    def wait_tasks(self, array_id: int, state: str, count: int, timeout: float = 60) -> None:
        """Wait until *count* tasks of an array are in *state*."""

        def reached() -> bool:
            rows = [row for row in self.squeue() if row["full_id"].startswith(f"{array_id}_")]
            return sum(row["state"] == state for row in rows) == count

        wait_until(reached, timeout, f"{count} tasks of job {array_id} to be {state}")

    def squeue(self) -> list[dict[str, str]]:
        """Return every job that the controller remembers, ended ones too; arrays as one row until they start."""
        formats = {
            "id": "%A",
            "full_id": "%i",
            "user": "%u",
            "account": "%a",
            "state": "%T",
            "partition": "%P",
            "nodes": "%N",
            "reason": "%r",
        }
        output = self.run("squeue", "-h", "-a", "-t", "all", "-o", _SEPARATOR.join(formats.values()))
        return list(_rows(output, list(formats)))

    def sacct_parsed(self, fields: Sequence[str], *args: str) -> list[dict[str, str]]:
        """Return sacct's answer for all users, a row per job and step, by field name."""
        command = [
            "sacct",
            "-a",
            "-n",
            "-P",
            f"--delimiter={_SEPARATOR}",
            f"--format={','.join(fields)}",
            *args,
        ]
        return list(_rows(self.run(*command), fields))

    def requeue(self, job_id: int) -> None:
        """Requeue a running job, and wait until it runs again."""
        self.scontrol("requeue", str(job_id))
        self.wait_state(job_id, "PENDING")
        try:
            self.wait_state(job_id, "RUNNING")
        except TimeoutError as error:
            shown = " ".join(self.scontrol("show", "job", str(job_id)).split())
            raise TimeoutError(f"{error}: {shown}") from error

    def restarts(self, job_id: int) -> int:
        """Return how often the job was requeued."""
        found = re.search(r" Restarts=(\d+)", self.scontrol("show", "job", str(job_id)))
        return int(found[1]) if found else 0

    def run(self, command: str, *args: str, timeout: float = 60) -> str:
        """Run one of Slurm's commands as root; names may hold any bytes, hence surrogates in the answer."""
        done = subprocess.run(
            [program(command), *args], env=self._env, capture_output=True, check=False, timeout=timeout
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command} {' '.join(args)} failed: {done.stderr.decode(errors='replace').strip()}")
        return os.fsdecode(done.stdout)

    # -- starting

    def _prepare(self) -> None:
        for user in USERS:
            _add_system_user(user)
        self.folder.mkdir(mode=0o755, exist_ok=True)
        self.files.write()
        self._munge_key.touch(mode=0o600)
        self._munge_key.write_bytes(secrets.token_bytes(128))
        storage = self.files.storage
        self._mariadb.create_database(DATABASE, charset="latin1")
        self._mariadb.create_user(storage.user, storage.password, [f"ALL ON `{DATABASE}`.*"])

    def _munged(self) -> Daemon:
        arguments = [
            f"--key-file={self._munge_key}",
            f"--socket={self._munge_socket}",
            f"--pid-file={self.folder}/munged.pid",
            f"--seed-file={self.folder}/munged.seed",
            f"--log-file={self.folder}/munged.log",
        ]
        return self._daemon("munged", ["--foreground", *arguments], ready=self._munge_socket.exists)

    def _daemon(self, name: str, args: list[str], *, ready: Callable[[], bool]) -> Daemon:
        executable = program(name.partition("-")[0])
        return Daemon(name, [executable, *args], log=self.folder / f"{name}.out", env=self._env, ready=ready)

    def _add_accounts(self) -> None:
        self._sacctmgr("add", "cluster", self.cluster)
        self._sacctmgr("add", "qos", "high", "priority=1000")
        self._sacctmgr("modify", "cluster", self.cluster, "set", "qos=normal,high", "defaultqos=normal")
        for account, parent in ACCOUNTS.items():
            self._sacctmgr("add", "account", account, f"parent={parent}", f"description={account}", "fairshare=10")
        for user, accounts in USERS.items():
            self._sacctmgr("add", "user", user, f"account={','.join(accounts)}", f"defaultaccount={accounts[0]}")

    def _sacctmgr(self, *args: str) -> None:
        self.run("sacctmgr", "-i", "-Q", *args)

    def _controller_answers(self) -> bool:
        return "is UP" in self._quietly("scontrol", "ping")

    def _all_idle(self) -> bool:
        return self._quietly("sinfo", "-h", "-N", "-p", "cpu,gpu", "-o", "%T").split() == ["idle"] * len(NODES)

    def _quietly(self, *command: str) -> str:
        try:
            return self.run(*command)
        except (RuntimeError, subprocess.TimeoutExpired):
            return ""

    def _sbatch(self, args: Sequence[Argument], user: str) -> int:
        account = pwd.getpwnam(user)
        done = subprocess.run(
            [program("sbatch"), "--parsable", "--output=/dev/null", "--chdir=/", *args],
            env={**self._env, "USER": user},
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"sbatch {args!r} failed: {done.stderr.decode(errors='replace').strip()}")
        return int(done.stdout.partition(b";")[0])


def _rows(output: str, fields: Sequence[str]) -> Iterator[dict[str, str]]:
    for line in output.split("\n"):
        values = line.split(_SEPARATOR)
        if len(values) == len(fields):
            yield dict(zip(fields, values, strict=True))


def _add_system_user(user: str) -> None:
    with alone("users"):
        try:
            pwd.getpwnam(user)
        except KeyError:
            subprocess.run([program("useradd"), "--no-create-home", user], check=True, capture_output=True)
