"""The simulated site: blocks in a real Prometheus, rows in a real MariaDB, and services that catch up over them."""

import math
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.lab.mariadb import MariaDB
from tests.lab.packages import promtool
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.lab.service import Service
from tests.scenarios.proxy import Proxy
from tests.scenarios.site import JOB, NO_VAL, Row, Servers, Site
from tests.simulation.builder import USERS, Builder
from tests.simulation.cpu_jobs import add_cpu_jobs
from tests.simulation.cpu_jobs import add_ended_jobs as add_ended_cpu_jobs
from tests.simulation.exposition import Exposition
from tests.simulation.gpu_jobs import add_ended_jobs as add_ended_gpu_jobs
from tests.simulation.gpu_jobs import add_gpu_jobs
from tests.simulation.world import BEGIN, MIB, MINUTE, Job, World

# Where every ledger begins.
FIRST = BEGIN + 10 * MINUTE
_EXPORTERS = ("slurm_job_exporter", "node_exporter", "redfish_exporter", "dcgm_exporter", "nvidia_gpu_exporter")
_FIRST_ASSOCIATION = 20
# What the numbers of runs begin with in slurmdbd's table.
RUN_IDS = 1000
_TRES = ((1003, "gres", "shard"), (1004, "gres", "gpu:a100_3g.20gb"), (1005, "gres", "gpu:a100_4g.20gb"))


def make_world() -> World:
    """Make all nodes and jobs, the same ones each time."""
    make = Builder()
    for add in (add_cpu_jobs, add_gpu_jobs, add_ended_cpu_jobs, add_ended_gpu_jobs):
        add(make)
    return make.world


class Simulation:
    """A world with its servers; `serve` starts services, each with a ledger of its own."""

    def __init__(self, world: World, site: Site, zero: float) -> None:
        self.world, self.site, self.zero = world, site, zero

    @contextmanager
    def serve(self, name: str) -> Iterator["Catching"]:
        """Start a service that catches up from FIRST on; give it once it answers."""
        proxy = Proxy(self.site.servers.prometheus.url)
        port = free_port()
        path = self.site.root / f"{name}.yml"
        path.write_text(yaml.safe_dump(self.config(name, port, proxy.url), sort_keys=False))
        service = Service(self.site, path, port=port)  # type: ignore[arg-type]
        try:
            service.start()
            yield Catching(service, proxy)
        finally:
            service.stop()
            proxy.stop()

    def config(self, name: str, port: int, prometheus: str) -> dict[str, Any]:
        """Give the configuration of a service of this name and port, that asks the Prometheus at this URL."""
        # A ledger begins so long before it has first read slurmacct, cut to a minute: some seconds more or less of a
        # start make no difference.
        back = math.floor(time.time()) - 30 - (self.zero + FIRST + 15)
        cluster = {
            **self.site.settings,
            "prometheus": {"url": prometheus, "matchers": {"cluster": self.site.cluster}},
            "exporters": {exporter: {"interval": "30s"} for exporter in _EXPORTERS},
        }
        return {
            "server": {"listen_address": f"{LOOPBACK}:{port}"},
            "refresh": {"interval": "1s", "stale_after": "60s"},
            "state": {"url": f"sqlite:///{self.site.root}/{name}.db"},
            "clusters": {self.site.cluster: cluster},
            "energy": {
                "window": "60s", "backfill": f"{back:.0f}s", "pue": 1.2, "co2": {"static_g_per_kwh": 30},
                "tariff": {"currency": "CAD", "per_kwh": 0.05},
            },
        }  # fmt: skip


class Catching:
    """A service on its way to the present."""

    def __init__(self, service: Service, proxy: Proxy) -> None:
        self.service, self.proxy = service, proxy

    def ledger_end(self) -> float:
        """Give until when it has added up, 0 before its first window."""
        found = self.service.samples("hpc_aggregator_ledger_window_timestamp_seconds")
        return next(iter(found.values()), 0.0)

    def catch_up(self, timeout: float = 600.0) -> float:
        """Wait until it has added up all that has closed; give until when."""
        # The newest window is a minute long, and has half a minute to settle.
        wait_until(lambda: self.ledger_end() > time.time() - 2 * MINUTE, timeout, "the ledger to catch up")
        return self.ledger_end()


@contextmanager
def simulate(mariadb: MariaDB) -> Iterator[Simulation]:
    """Make the world, its rows in *mariadb*, and a Prometheus that has its series."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hpc-aggregator-simulation-")))
        root.chmod(0o755)
        flags = ("--web.enable-remote-write-receiver",)
        prometheus = PrometheusServer(root, flags=flags, retention="60d")
        site = stack.enter_context(Site(Servers(mariadb, prometheus), root))
        simulation = Simulation(make_world(), site, time.time() // MINUTE * MINUTE)
        _fill_prometheus(simulation, prometheus)
        _fill_database(simulation)
        prometheus.start()
        stack.callback(prometheus.stop)
        yield simulation


def _fill_prometheus(simulation: Simulation, prometheus: PrometheusServer) -> None:
    file = simulation.site.root / "series.om"
    file.write_text(Exposition(simulation.world, simulation.site.cluster, simulation.zero).text())
    # It reads the file once for each block.
    flags = ["openmetrics", "--quiet", "--max-block-duration=1000h"]
    command = [promtool(), "tsdb", "create-blocks-from", *flags, str(file), f"{prometheus.folder}/data"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    file.unlink()


def _fill_database(simulation: Simulation) -> None:
    site, cluster = simulation.site, simulation.site.cluster
    known = {"creation_time": 1, "mod_time": 1, "deleted": 0}
    site.insert("tres_table", [{**known, "id": number, "type": kind, "name": name} for number, kind, name in _TRES])
    accounts = sorted({account for _, account in USERS} - {"phys", "chem"})
    site.insert("acct_table", [{**known, "name": each, "description": each, "organization": each} for each in accounts])
    trees = [("", account, "root") for account in accounts] + [(user, account, "") for user, account in USERS]
    site.insert(f"{cluster}_assoc_table", [
        {**known, "id_assoc": _FIRST_ASSOCIATION + number, "user": user, "acct": account, "parent_acct": parent,
         "partition": ""}
        for number, (user, account, parent) in enumerate(trees) if user not in ("ann", "ben", "cora")
    ])  # fmt: skip
    associations = dict(site.execute(f"SELECT user, id_assoc FROM `{cluster}_assoc_table`"))
    site.insert(f"{cluster}_job_table", [_row(job, simulation.zero, associations) for job in simulation.world.jobs])


def _row(job: Job, zero: float, associations: dict[str, int]) -> Row:
    """Give the job's row in slurmdbd's table."""
    start, end = int(zero + job.start), 0 if job.is_open else int(zero + job.end)
    submit = start - MINUTE if job.submit is None else zero + job.submit
    memory, cpus = int(job.memory * len(job.nodes) / MIB), job.cpus * len(job.nodes)
    held = f"1={cpus},2={memory},4={len(job.nodes)},5={cpus}" + (f",{job.tres}" if job.tres else "")
    array, task = job.array or (0, NO_VAL)
    return {
        **JOB, "job_db_inx": RUN_IDS + job.number, "id_job": job.job_id, "account": job.account, "job_name": "sim",
        "id_assoc": associations[job.user], "id_array_job": array, "id_array_task": task, "cpus_req": cpus,
        "nodes_alloc": len(job.nodes), "nodelist": ",".join(job.nodes), "timelimit": 6000,
        "state": job.state if job.state is not None else (1 if job.is_open else 3),
        "time_submit": submit, "time_eligible": submit, "time_end": end, "mod_time": max(start, end),
        "time_start": start if job.row_start is None else int(zero + job.row_start),
        "time_suspended": _suspended(job, zero), "tres_alloc": held, "tres_req": held,
    }  # fmt: skip


def _suspended(job: Job, zero: float) -> int:
    """Give Slurm's column: the seconds of all suspensions; while it is suspended, since when it virtually is."""
    if not job.suspended:
        return 0
    begin, end = job.suspended[-1]
    return int(zero + begin if job.state == 2 else end - begin)
