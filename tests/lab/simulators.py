"""The exporters of all nodes behind one port: their series belong to the jobs that really run."""

import enum
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from tests.lab.behaviours import DEFAULT, Behaviour
from tests.lab.exporters.activity import Activity
from tests.lab.exporters.libvirtd_exporter import HYPERVISORS, Cloud
from tests.lab.exporters.node_exporter import ODD, USUAL, node_exporter
from tests.lab.exporters.pcm_sensor_server import pcm_sensor_server
from tests.lab.exporters.quotas import Quotas
from tests.lab.exporters.redfish_exporter import redfish_exporter
from tests.lab.exporters.slurm_exporter import SchedulerFault, SchedulerKind, slurm_exporter
from tests.lab.exporters.slurm_job_exporter import slurm_job_exporter
from tests.lab.feed import JobFeed
from tests.lab.lustre import LabLustre
from tests.lab.other_exporters import OtherExporters
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.slurm_config import NODES


class Fault(enum.Enum):
    """What can be wrong with a node's slurm-job-exporter."""

    DOWN = "down"
    """The scrape fails with HTTP 500."""
    BLANK = "blank"
    """DCGM's blank value as the utilisation of each job's GPU 0."""
    DUPLICATE = "duplicate"
    """Each job appears a second time with account="error"."""
    BLIND = "blind"
    """The scrape works and shows no job, as with cgroups that are named by SLUID."""


LOGIN = "login01"


@dataclass(frozen=True)
class Target:
    """A path that Prometheus scrapes, and the instance that it stands for."""

    path: str
    instance: str


# Families, or the very text for an exporter whose page no library writes; None: the scrape fails.
Page = Iterable[Metric] | str | None


@dataclass(frozen=True)
class Exporter:
    """The instances of one exporter, by the name in their paths, and the page of each."""

    instances: Mapping[str, str]
    page: Callable[[str], Page]


class Simulators:
    """The exporters of a site, by Prometheus' job; *faults* are of slurm-job-exporter."""

    def __init__(
        self, feed: JobFeed, nodes: Sequence[str] = NODES, others: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """*others* are the nodes of exporters of other sites (other_exporters.py), by Prometheus' job."""
        self.port = free_port()
        self.behaviours: dict[int, Behaviour] = {}
        """By the job id that sbatch gave; a job that is not here follows behaviours.DEFAULT."""
        self.sluids: dict[int, str] = {}
        """By job id, of those whose cgroups are called so: slurm-job-exporter does not see them."""
        self.others = OtherExporters(self.allocations, others or {})
        self.scheduler = SchedulerKind.OSC
        self.scheduler_faults: frozenset[SchedulerFault] = frozenset()
        self._feed = feed
        self._nodes = nodes
        self._faults: dict[str, set[Fault]] = {node: set() for node in nodes}
        self.lustre = LabLustre(feed)
        self.cloud, self.quotas = Cloud(), Quotas()
        born = time.time()
        self._exporters = {
            "slurm-job-exporter": Exporter({node: f"{node}:9798" for node in nodes}, self._slurm_job_exporter),
            "redfish": Exporter(
                {node: f"{node}-oob" for node in nodes}, lambda node: redfish_exporter(self.activities(node))
            ),
            "node": Exporter(
                {node: f"{node}:9100" for node in (*nodes, LOGIN)},
                lambda node: node_exporter(
                    self.activities(node),
                    time.time() - born,
                    ODD if node == nodes[-1] else USUAL,
                    people=0.2 if node == LOGIN else 0.0,
                ),
            ),
            "slurm": Exporter(
                {"slurmctld": "slurmctld:8080"},
                lambda _: slurm_exporter(self.scheduler, self._feed.jobs, self.scheduler_faults),
            ),
            "lustre": Exporter(
                {server: f"{server}:9169" for server in self.lustre.project.servers}, self.lustre.plain_page
            ),
            "lustre-slurm": Exporter(
                {server: server for server in self.lustre.scratch.servers}, self.lustre.proxied_page
            ),
            "pcm": Exporter(
                {node: f"{node}.lab.example:9738" for node in nodes},
                lambda node: pcm_sensor_server(self.activities(node), time.time() - born),
            ),
            "libvirtd": Exporter({name: f"{name}.cloud.example:9474" for name in HYPERVISORS}, self.cloud.page),
            "lfs-quota": Exporter({"quotas": "quotas:9999"}, self.quotas.lfs),
            "gpfs": Exporter({"gpfs01": "gpfs01:9303"}, self.quotas.gpfs),
            **{job: Exporter(its, partial(self.others.page, job)) for job, its in self.others.instances.items()},
        }
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def targets(self) -> dict[str, list[Target]]:
        """Prometheus' jobs and their targets."""
        return {
            job: [Target(f"/{job}/{name}", instance) for name, instance in exporter.instances.items()]
            for job, exporter in self._exporters.items()
        }

    def start(self) -> None:
        """Serve in a thread."""
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def set_fault(self, node: str, fault: Fault, active: bool = True) -> None:
        """Switch *fault* of *node*'s slurm-job-exporter on or off; the next scrape sees it."""
        faults = self._faults[node]
        # A new set rather than a changed one: the server's threads read it meanwhile.
        self._faults[node] = faults | {fault} if active else faults - {fault}

    def clear_faults(self) -> None:
        for node in self._nodes:
            self._faults[node] = set()
        self.scheduler, self.scheduler_faults = SchedulerKind.OSC, frozenset()

    def allocations(self, node: str) -> list[Activity]:
        """Return what the jobs on *node* do at this moment."""
        now = time.time()
        return [
            Activity(
                job.job_id, job.user, job.account, max(0.0, now - job.start), job.nodes[node],
                self.behaviours.get(job.submitted_id, DEFAULT), job.uid, job.partition,
                self.sluids.get(job.job_id, ""),
            )
            for job in self._feed.jobs
            if node in job.nodes
        ]  # fmt: skip

    def activities(self, node: str) -> list[Activity]:
        """Return what the jobs with processes do on *node* at this moment."""
        return [job for job in self.allocations(node) if job.behaviour.processes]

    def page(self, path: str) -> Page:
        """Return the page behind *path*, or None when the exporter is broken."""
        _, job, name = path.split("/")
        return self._exporters[job].page(name)

    def _slurm_job_exporter(self, node: str) -> Page:
        faults, jobs = self._faults[node], [job for job in self.activities(node) if not job.sluid]
        if Fault.DOWN in faults:
            return None
        if Fault.BLIND in faults:
            jobs = []
        if Fault.DUPLICATE in faults:
            jobs += [replace(job, account="error") for job in jobs]
        return slurm_job_exporter(jobs, blank=Fault.BLANK in faults)

    def serves(self, path: str) -> bool:
        return any(path == target.path for targets in self.targets.values() for target in targets)


class _Families:
    """What the encoder takes for a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.collect = lambda: families


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, simulators: Simulators) -> None:
        self.simulators = simulators
        super().__init__((LOOPBACK, simulators.port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, but not that a Prometheus which ends drops its connections."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Ends the thread of a connection that Prometheus keeps open but no longer uses.
    timeout = 5

    def do_GET(self) -> None:
        if not self.server.simulators.serves(self.path):
            self._answer(404, "text/plain", b"no such exporter\n")
            return
        page = self.server.simulators.page(self.path)
        if page is None:
            self._answer(500, "text/plain", b"an uncaught error for one job\n")
        elif isinstance(page, str):
            self._answer(200, "text/plain; version=0.0.4", page.encode())
        else:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, content_type, encode(_Families(page)))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: thirty targets a second would fill the terminal."""

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
