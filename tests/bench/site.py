"""A site of real servers: slurmacct with millions of rows in MariaDB, the series of all running jobs in Prometheus."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.bench.series import INTERVAL, Series
from tests.bench.site_series import (
    ACCOUNTS,
    CPUS,
    GPU_EVERY,
    JOBS_OF_A_NODE,
    NODE_CPUS,
    NODE_GPUS,
    STARTS,
    USERS,
    add_series,
    nodes_of,
)
from tests.bench.sizes import Sizes
from tests.lab.mariadb import MariaDB
from tests.lab.ports import LOOPBACK
from tests.lab.prometheus import PrometheusServer
from tests.large_table import CLUSTER, LargeTable

DATABASE, USER, PASSWORD = "slurm_acct_bench", "bench", "only for the bench"
# What a request for one job or for its details may use stays.
_UNUSED = ("wckey", "qos", "reserv", "nodes_alloc", "env_hash_inx", "script_hash_inx", "sluid")
_BUFFER_POOL = 2 << 30
_TRES = ((1, "cpu", ""), (2, "mem", ""), (3, "energy", ""), (4, "node", ""), (5, "billing", ""), (6, "fs", "disk"),
         (1001, "gres", "gpu"), (1002, "gres", "gpu:a100"))  # fmt: skip
# Prometheus yields to the service: on a site it has CPUs of its own.
_NICE = 10


class RealSite:
    """The servers and the configuration of one cluster; a context manager that ends the servers."""

    def __init__(self, root: Path, sizes: Sizes) -> None:
        self._sizes = sizes
        self._stack = ExitStack()
        root.mkdir(parents=True, exist_ok=True)
        # MariaDB does not run as root.
        root.chmod(0o755)
        self.root = root
        self.now = int(time.time())
        self.mariadb = MariaDB(root)
        self.prometheus = PrometheusServer(root, flags=("--web.enable-remote-write-receiver",))
        self.table = LargeTable(
            self.mariadb, DATABASE, sizes.rows - sizes.open_rows, sizes.open_rows, now=self.now, unused=_UNUSED
        )
        self.series = Series({"cluster": CLUSTER})

    def __enter__(self) -> "RealSite":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fill(self) -> None:
        """Start the servers and fill slurmacct; this takes a minute for some millions of rows."""
        self.mariadb.start()
        self._stack.callback(self.mariadb.stop)
        self.mariadb.execute(f"SET GLOBAL innodb_buffer_pool_size={_BUFFER_POOL}")
        # Rows that are read are counted by table and by index.
        self.mariadb.execute("SET GLOBAL userstat=1")
        self.table.fill()
        self._add_people()
        self._spread_open_runs()
        self.mariadb.create_user(USER, PASSWORD, [f"SELECT ON `{DATABASE}`.*"])

    def observe(self) -> None:
        """Start Prometheus and write the series of the running jobs."""
        self.prometheus.start()
        self._stack.callback(self.prometheus.stop)
        assert self.prometheus.daemon.pid is not None
        os.setpriority(os.PRIO_PGRP, self.prometheus.daemon.pid, _NICE)
        add_series(self.series, self.table.first_open, self._sizes.jobs, self.now)
        self.series.write(self.prometheus.url)

    def go_on(self, ended: int) -> None:
        """End some jobs, so many of them by now, and change others; write the series of the next minutes when due."""
        self.table.change(ended)
        self.series.write(self.prometheus.url)

    def configure(self, interval: float) -> Path:
        """Write the service's configuration."""
        path = self.root / "config.yml"
        path.write_text(yaml.safe_dump(self._config(interval), sort_keys=False))
        return path

    def rows_read(self) -> "RowsRead":
        return rows_read(self.mariadb, f"{CLUSTER}_job_table")

    # -- slurmacct

    def _add_people(self) -> None:
        self._insert(
            "tres_table",
            [{"creation_time": 1, "id": number, "type": kind, "name": name} for number, kind, name in _TRES],
        )
        self._insert("qos_table", [{"creation_time": 1, "id": 1, "name": "normal"}])
        accounts = [f"acct{number}" for number in range(ACCOUNTS)]
        self._insert("acct_table", [{"creation_time": 1, "name": name, "description": name, "organization": name}
                                    for name in ("root", "def-kim", *accounts)])  # fmt: skip
        people = [(1, "kim", "def-kim", ""), (2, "", "root", ""), (3, "", "def-kim", "root")]
        people += [(1000 + number, "", name, "root") for number, name in enumerate(accounts)]
        people += [(10 + number, f"user{number}", accounts[number % ACCOUNTS], "") for number in range(USERS)]
        self._insert(f"{CLUSTER}_assoc_table", [
            {"creation_time": 1, "id_assoc": number, "user": user, "acct": account, "parent_acct": parent}
            for number, user, account, parent in people
        ])  # fmt: skip

    def _insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        names, places = ", ".join(f"`{name}`" for name in rows[0]), ", ".join(["%s"] * len(rows[0]))
        with closing(self.mariadb.connect(DATABASE)) as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO `{table}` ({names}) VALUES ({places})", [[*row.values()] for row in rows])

    def _spread_open_runs(self) -> None:
        """Give the open runs users, accounts, nodes and starts; those beyond the working point wait."""
        n, first = f"(id_job - {self.table.first_open})", self.table.first_open
        start = f"{self.now} - 3600 * (1 + {n} % {STARTS})"
        gpu = f"{n} % {GPU_EVERY} = 0"
        self.mariadb.execute(
            f"UPDATE `{CLUSTER}_job_table` SET id_assoc = 10 + {n} % {USERS}, id_user = 10000 + {n} % {USERS},"
            f" account = CONCAT('acct', {n} % {USERS} % {ACCOUNTS}), job_name = CONCAT('job', {n} % 50),"
            f" timelimit = 2880, time_submit = {start} - 900, time_eligible = {start} - 900, time_start = {start},"
            f" nodelist = CONCAT('nc', LPAD({n} DIV {JOBS_OF_A_NODE}, 5, '0')), nodes_alloc = 1,"
            f" tres_alloc = CONCAT('1={CPUS},2=16000,4=1,5={CPUS}', IF({gpu}, ',1001=1,1002=1', '')),"
            f" tres_req = CONCAT('1={CPUS},2=16000,4=1', IF({gpu}, ',1001=1,1002=1', ''))"
            f" WHERE id_job >= {first}",
            DATABASE,
        )
        self.mariadb.execute(
            f"UPDATE `{CLUSTER}_job_table` SET state = 0, time_start = 0, nodelist = '', nodes_alloc = 0,"
            f" tres_alloc = '' WHERE id_job >= {first + self._sizes.jobs}",
            DATABASE,
        )

    # -- the service

    def _config(self, interval: float) -> dict[str, Any]:
        database = {
            "host": LOOPBACK,
            "port": self.mariadb.port,
            "user": USER,
            "password": PASSWORD,
            "database": DATABASE,
        }
        exporter = {"interval": f"{INTERVAL:g}s"}
        return {
            "refresh": {"interval": f"{interval * 1000:.0f}ms"},
            # Four clients that ask one after the other are more than one address may be.
            "server": {"bounds": {"requests_per_second": 10_000, "burst": 100_000, "expensive_at_once": 100}},
            "state": {"url": f"sqlite:///{self.root}/state.db"},
            "clusters": {
                CLUSTER: {
                    "slurmacct": database,
                    "prometheus": {"url": self.prometheus.url, "matchers": {"cluster": CLUSTER}},
                    "exporters": {"slurm_job_exporter": exporter, "redfish_exporter": exporter},
                }
            },
            "energy": {
                "backfill": "2m",
                "co2": {"static_g_per_kwh": 30.0},
                "tariff": {"currency": "CAD", "per_kwh": 0.0416, "cpu_hour": 0.003, "gpu_hour": {"default": 0.35}},
                "node_classes": {
                    "all": {
                        "nodes": f"nc[00000-{nodes_of(self._sizes.jobs) - 1:05d}]", "cpus": NODE_CPUS,
                        "memory": "512GiB", "gpus": NODE_GPUS, "idle_watts": 150.0,
                    },
                },
            },
        }  # fmt: skip


class RowsRead(NamedTuple):
    """The rows of a table that were read since the server's start, and those of them that an index led to."""

    all: int
    by_index: int

    def scanned(self, before: "RowsRead") -> int:
        """Give the rows that were read since then in the order of the table, without an index."""
        return (self.all - before.all) - (self.by_index - before.by_index)


def rows_read(mariadb: MariaDB, table: str) -> RowsRead:
    """Ask a server with userstat=1 how many rows of a table, of whatever database, were read."""
    counts = []
    for kind in ("table", "index"):
        ((count,),) = mariadb.execute(
            f"SELECT COALESCE(SUM(rows_read), 0) FROM information_schema.{kind}_statistics WHERE table_name=%s",
            params=[table],
        )
        counts.append(int(count))
    return RowsRead(*counts)
