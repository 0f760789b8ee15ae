"""One cluster of a test's own: its rows, its samples, and `hpc-aggregator serve` in front of them."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

import yaml

from tests.lab.mariadb import MariaDB
from tests.lab.packages import FAKETIME, ensure_packages
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.lab.service import Service
from tests.scenarios.proxy import Proxy
from tests.scenarios.samples import Samples
from tests.slurm_schema import create_tables

NO_VAL = 4294967294
Row = dict[str, Any]
_numbers = count(1)
# Not the name that tests/integration uses on the same server.
_USER, _PASSWORD = "scenario", "only for tests"
_TRES = ((1, "cpu", ""), (2, "mem", ""), (3, "energy", ""), (4, "node", ""), (5, "billing", ""), (6, "fs", "disk"),
         (1001, "gres", "gpu"), (1002, "gres", "gpu:a100"))  # fmt: skip
# A row of the job table: each test changes what it is about.
JOB: Row = {
    "mod_time": 0, "account": "phys", "cpus_req": 4, "job_name": "x", "id_assoc": 10, "id_user": 1000, "id_group": 1,
    "id_qos": 1, "id_resv": 0, "id_wckey": 0, "id_array_job": 0, "id_array_task": NO_VAL, "het_job_id": 0,
    "het_job_offset": NO_VAL, "mem_req": 0, "nodes_alloc": 1, "partition": "cpu", "priority": 1, "state": 1,
    "timelimit": 600, "time_eligible": 0, "time_end": 0, "time_suspended": 0, "nodelist": "node01",
    "tres_alloc": "1=4,2=8000,4=1,5=4", "tres_req": "1=4,2=8000,4=1", "exit_code": 0, "derived_ec": 0, "deleted": 0,
    "work_dir": "/", "wckey": "", "submit_line": "sbatch x", "state_reason_prev": 0, "array_max_tasks": 0,
    "array_task_pending": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Servers:
    """The servers that the scenarios of a session share; sites differ by their cluster."""

    mariadb: MariaDB
    prometheus: PrometheusServer


class Site:
    """
    One cluster: add rows and samples, then `start`; a context manager that ends the service and the proxy.

    Settings of `serve` are in `config` and `environment`, to be changed before the start. *clock* is how many seconds
    the service's clock is ahead.
    """

    def __init__(self, servers: Servers, root: Path, *, release: str = "23.11", clock: float = 0.0) -> None:
        number = next(_numbers)
        self.cluster = f"c{os.getpid()}x{number}"
        self.database = f"acct_{self.cluster}"
        self.root = root / self.cluster
        self.root.mkdir(mode=0o755)
        self.service_port = free_port()
        self.servers = servers
        self.mariadb = servers.mariadb
        self.samples = Samples(self.cluster)
        self.proxy = Proxy(servers.prometheus.url)
        self.environment = fake_clock(clock) if clock else {}
        self._rows = count(100)
        self._create(release)
        self.config = self._config()
        # What is shown with every request, where the configuration lets nobody in without.
        self.headers: dict[str, str] = {}
        self._service: Service | None = None

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        if self._service:
            self._service.stop()
        self.proxy.stop()
        self.mariadb.execute(f"DROP DATABASE `{self.database}`")

    @property
    def service(self) -> Service:
        """The running service."""
        assert self._service, "start() comes first"
        return self._service

    @property
    def settings(self) -> dict[str, Any]:
        """The cluster's section of the configuration."""
        section: dict[str, Any] = self.config["clusters"][self.cluster]
        return section

    # -- what the site has

    def job(self, id_job: int, *, started: float = -500.0, ended: float | None = None, **changes: Any) -> None:
        """Add a row to the job table; it ran from *started* to *ended*, in the samples' seconds."""
        start = int(self.samples.zero + started)
        end = 0 if ended is None else int(self.samples.zero + ended)
        state = {} if ended is None else {"state": 3}
        times = {"time_submit": start - 60, "time_eligible": start - 60, "time_start": start, "time_end": end}
        row = {**JOB, "job_db_inx": next(self._rows), "id_job": id_job, "mod_time": max(start, end), **times, **state}
        self.insert(f"{self.cluster}_job_table", [{**row, **changes}])

    def end(self, id_job: int, at: float, state: int = 3) -> None:
        """End the runs of a job that are open."""
        self.execute(
            f"UPDATE `{self.cluster}_job_table` SET state=%s, time_end=%s, mod_time=%s WHERE id_job=%s AND time_end=0",
            state, int(self.samples.zero + at), int(time.time()), id_job,
        )  # fmt: skip

    def insert(self, table: str, rows: Iterable[Row]) -> None:
        """Insert what columns the table has of each row."""
        known = {name for (name,) in self.mariadb.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema=%s AND table_name=%s", None,
            [self.database, table])}  # fmt: skip
        with closing(self.mariadb.connect(self.database)) as connection, connection.cursor() as cursor:
            for names, alike in groupby(rows, lambda row: [name for name in row if name in known]):
                columns, places = ", ".join(f"`{name}`" for name in names), ", ".join(["%s"] * len(names))
                values = [[row[name] for name in names] for row in alike]
                cursor.executemany(f"INSERT INTO `{table}` ({columns}) VALUES ({places})", values)

    def execute(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.mariadb.execute(sql, self.database, parameters or None)

    def use_exporters(self, *names: str, **settings: Mapping[str, Any]) -> None:
        """Configure exporters that are scraped every second."""
        chosen: dict[str, Mapping[str, Any]] = {**{name: {} for name in names}, **settings}
        self.settings["exporters"] = {name: {"interval": "1s", **more} for name, more in chosen.items()}

    # -- running it

    def start(self, *, until: Callable[[], Any] | None = None) -> Service:
        """Write the samples and start the service; wait until it is refreshed, and until a condition holds."""
        self.samples.write(self.servers.prometheus.url)
        path = self.root / "config.yml"
        path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        self._service = Service(self, path, headers=self.headers)  # type: ignore[arg-type]
        self._service.daemon.environment.update(self.environment)
        self._service.start()
        self.refreshed()
        if until:
            self.wait(until, "what the test is about")
        return self._service

    def refreshed(self, times: int = 1) -> None:
        """Wait until the service has read slurmacct and joined so many times more."""
        for _ in range(times):
            last = self._success()
            wait_until(lambda last=last: self._success() != last, 30, "a refresh")  # type: ignore[misc]

    def wait(self, condition: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:
        """Wait until a condition holds, and give its value."""
        found: list[Any] = []

        def holds() -> bool:
            found[:] = [condition()]
            return bool(found[0])

        try:
            wait_until(holds, timeout, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}; last: {found}\n{self.service.daemon.tail()}") from error
        return found[0]

    def value(self, family: str, **labels: Any) -> float | None:
        """Give the one sample of a family with these labels, None without one."""
        return self.service.value(family, **{name: str(value) for name, value in labels.items()})

    def samples_of(self, family: str, **labels: Any) -> dict[tuple[tuple[str, str], ...], float]:
        """Give the samples of a family with these labels, by all their labels."""
        return self.service.samples(family, **{name: str(value) for name, value in labels.items()})

    def data(self, path: str) -> Any:
        """Give the data of an answer of the API below this cluster."""
        return self.service.data(f"/api/v1/clusters/{self.cluster}{path}")

    def _success(self) -> float | None:
        return self.value(
            "hpc_aggregator_source_last_success_timestamp_seconds", source="slurmacct", cluster=self.cluster
        )

    # -- making it

    def _create(self, release: str) -> None:
        create_tables(self.mariadb, self.database, release, self.cluster)
        pattern = self.database.replace("_", r"\_")
        self.mariadb.execute(f"CREATE USER IF NOT EXISTS '{_USER}'@'{LOOPBACK}' IDENTIFIED BY '{_PASSWORD}'")
        self.mariadb.execute(f"GRANT SELECT ON `{pattern}`.* TO '{_USER}'@'{LOOPBACK}'")
        known = {"creation_time": 1, "mod_time": 1, "deleted": 0}
        self.insert("tres_table", [{**known, "id": number, "type": kind, "name": name} for number, kind, name in _TRES])
        self.insert("qos_table", [{**known, "id": 1, "name": "normal"}])
        self.insert(
            "acct_table",
            [{**known, "name": name, "description": name, "organization": name} for name in ("root", "phys", "chem")],
        )
        self.insert(f"{self.cluster}_assoc_table", [
            {**known, "id_assoc": number, "user": user, "acct": account, "parent_acct": parent, "partition": ""}
            for number, user, account, parent in (
                (1, "", "root", ""), (2, "", "phys", "root"), (3, "", "chem", "root"),
                (10, "ann", "phys", ""), (11, "ben", "phys", ""), (12, "cora", "chem", ""),
            )
        ])  # fmt: skip

    def _config(self) -> dict[str, Any]:
        database = {"host": LOOPBACK, "port": self.mariadb.port, "user": _USER, "password": _PASSWORD}
        cluster = {
            "slurmacct": {**database, "database": self.database},
            "prometheus": {"url": self.proxy.url, "matchers": {"cluster": self.cluster}},
            "exporters": {"slurm_job_exporter": {"interval": "1s"}},
        }
        return {
            "server": {"listen_address": f"{LOOPBACK}:{self.service_port}"},
            "refresh": {"interval": "1s", "stale_after": "20s"},
            "state": {"url": f"sqlite:///{self.root}/state.db"},
            "clusters": {self.cluster: cluster},
            "energy": {"window": "2s", "backfill": "5m"},
        }


def fake_clock(seconds: float) -> dict[str, str]:
    """Give the environment in which a process's wall clock is ahead, its monotonic one is not."""
    ensure_packages(FAKETIME)
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+g}s", "DONT_FAKE_MONOTONIC": "1"}
