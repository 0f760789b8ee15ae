"""The whole lab: every server, the jobs and the service's configuration."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.lab import databases
from tests.lab.behaviours import BEHAVIOURS
from tests.lab.feed import JobFeed
from tests.lab.jobs import submit_all
from tests.lab.mariadb import MariaDB
from tests.lab.notifications import Notifications, inhibits
from tests.lab.packages import ALERTMANAGER, DATABASE, PROMETHEUS, SLURM, ensure_packages
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import kill_strays, wait_until
from tests.lab.prometheus import PrometheusServer
from tests.lab.simulators import LOGIN, Simulators
from tests.lab.slurm import DATABASE as SLURM_DATABASE
from tests.lab.slurm import Slurm

_ALLOCATIONS = """\
accounts:
  def-kim: { cpus: 50, gpus: 4 }
  rrg-roy: { cpus: 200 }
storage:
  project:
    def-amartin: { bytes: 10GB, inodes: 5000 }
    rrg-btremblay: { bytes: 60TB, inodes: 500000 }
  oldproject:
    def-kim: { bytes: 1TB, inodes: 1000000, users: [amartin] }
cloud:
  stack:
    def-kim-dev: { users: [amartin, btremblay] }
"""


class Lab:
    """
    A context manager that starts the stack and, at its end, leaves no process and no folder.

    The users that it creates for Slurm's jobs stay on the machine. *slurm* and *prometheus* say
    whether those are started; their attributes must not be used otherwise.
    """

    mariadb: MariaDB
    slurm: Slurm
    feed: JobFeed
    simulators: Simulators
    notifications: Notifications
    prometheus: PrometheusServer
    root: Path

    def __init__(
        self,
        service_port: int | None = None,
        slurm: bool = True,
        prometheus: bool = True,
        *,
        rule_files: Sequence[Path] = (),
        timed_out: bool = False,
        progress: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self.service_port = service_port or free_port()
        self.jobs: dict[str, int] = {}
        self.boot_seconds = 0.0
        self._with_slurm = slurm
        self._with_prometheus = prometheus
        self._rule_files = rule_files
        self._timed_out = timed_out
        self._progress = progress
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        started = time.monotonic()
        # What has started is ended also when something later does not start.
        with self._exit:
            self._start()
            self._exit = self._exit.pop_all()
        self.boot_seconds = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress("stopping")
        self._exit.close()

    @property
    def password_file(self) -> Path:
        """The file with the password of the read-only database user."""
        return self.root / "secrets" / "slurmacct"

    def write_config(
        self,
        path: Path,
        *,
        interval: str = "2s",
        stale_after: str = "20s",
        exporters: Sequence[str] = ("slurm_job_exporter",),
        extra: dict[str, Any] | None = None,
    ) -> Path:
        """Write the service's configuration for this lab; *extra* replaces whole sections."""
        config: dict[str, Any] = {
            # Tests ask more often than a client may.
            "server": {
                "listen_address": f"{LOOPBACK}:{self.service_port}",
                "bounds": {"requests_per_second": 1000, "burst": 10_000},
            },
            "refresh": {"interval": interval, "stale_after": stale_after, "ended_job_retention": "10m"},
            "state": {"url": f"sqlite:///{self.root}/state.db"},
            "clusters": {"lab": self._cluster(exporters)},
            "filesystems": {"project": self._filesystem(interval)},
            "allocations": {"file": str(self.root / "allocations.yml")},
        }
        if self._with_prometheus:
            config["filesystems"] |= self._quotas()
            config["cloud"] = {"stack": self._cloud()}
        path.write_text(yaml.safe_dump(config | (extra or {}), sort_keys=False))
        return path

    def wait_quiet(self) -> None:
        """Wait until no alert inhibits those on jobs any more, neither in Prometheus nor in Alertmanager.

        A Prometheus that is killed while an alert fires never says that it is over when its cause is gone at the first
        evaluation after the start: its series lasts for five minutes, and Alertmanager believes it for four. A test
        has to wait for this before it kills Prometheus, and when it has broken something.
        """
        try:
            wait_until(lambda: not self._inhibiting(), 60, "the alerts on sources to be over")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {', '.join(self._inhibiting())}") from error

    def _inhibiting(self) -> list[str]:
        firing = self.prometheus.query('ALERTS{alertstate="firing"}')
        known = [series["metric"] for series in firing] + self.prometheus.alerts()
        known += [alert["labels"] for alert in self.notifications.alertmanager.alerts()]
        return sorted(f"{labels['alertname']} {labels.get('source', '')}" for labels in known if inhibits(labels))

    def wait_accounted(self) -> None:
        """Wait until slurmdbd has written what slurmctld knows: which jobs run, each row whole."""
        try:
            wait_until(lambda: not self._unaccounted(), 60, "slurmacct to have what slurmctld says")
        except TimeoutError as error:
            raise TimeoutError(f"{error} of the jobs {sorted(self._unaccounted())}") from error

    # -- starting

    def _start(self) -> None:
        self._install()
        self.root = self._make_root()
        self._start_prometheus()
        self._start_databases()
        if self._with_slurm:
            self._start_slurm()
        (self.root / "allocations.yml").write_text(_ALLOCATIONS)

    def _install(self) -> None:
        self._progress("packages")
        needed = [
            *DATABASE,
            *(SLURM if self._with_slurm else ()),
            *((*PROMETHEUS, *ALERTMANAGER) if self._with_prometheus else ()),
        ]
        ensure_packages(needed)

    def _make_root(self) -> Path:
        root = Path(tempfile.mkdtemp(prefix="hpc-lab-"))
        self._exit.callback(shutil.rmtree, root)
        self._exit.callback(kill_strays, root)
        root.chmod(0o755)  # MariaDB and the jobs are other users
        return root

    def _start_prometheus(self) -> None:
        """Start the simulators and Prometheus, which takes seconds until its first scrape: hence first of all."""
        self.feed = JobFeed(lambda: self.slurm.run("scontrol", "show", "job", "-d", timeout=30))
        self.simulators = Simulators(self.feed)
        if not self._with_prometheus:
            return
        self._progress("simulators, Alertmanager and Prometheus")
        self.notifications = Notifications(self.root)
        self._exit.callback(self.notifications.stop)
        self.notifications.start()
        self._exit.callback(self.simulators.stop)
        self.simulators.start()
        self.prometheus = PrometheusServer(
            self.root,
            simulators_port=self.simulators.port,
            targets=self.simulators.targets,
            service_port=self.service_port,
            rule_files=[*self._rule_files, *self.notifications.rule_files],
            external_labels=self.notifications.external_labels,
            alerting=self.notifications.alerting,
            alertmanager_port=self.notifications.alertmanager.port,
        )
        self._exit.callback(self.prometheus.stop)
        self.prometheus.start()

    def _start_databases(self) -> None:
        self._progress("MariaDB and the Robinhood databases")
        self.mariadb = MariaDB(self.root, timed=True)
        self._exit.callback(self.mariadb.stop)
        self.mariadb.start()
        databases.load_robinhood(self.mariadb)
        databases.create_reader(self.mariadb, self.password_file)

    def _start_slurm(self) -> None:
        self._progress("Slurm: munged, slurmdbd, slurmctld, ten slurmd")
        self.slurm = Slurm(self.root, self.mariadb)
        self._exit.callback(self.slurm.stop)
        self.slurm.start()
        self._progress("jobs of every kind")
        self.jobs = submit_all(self.slurm, timed_out=self._timed_out)
        self.simulators.behaviours |= {
            job_id: BEHAVIOURS[name] for name, job_id in self.jobs.items() if name in BEHAVIOURS
        }
        self._exit.callback(self.feed.stop)
        self.feed.start()
        self._progress("the jobs in slurmacct")
        self.wait_accounted()
        if self._with_prometheus:
            self._progress("the jobs in Prometheus")
            wait_until(self._all_scraped, 60, "the jobs to appear in Prometheus")

    def _unaccounted(self) -> set[int]:
        """Return the ids of jobs that slurmacct lacks, or has otherwise than slurmctld."""
        columns = "id_array_job, id_job, state, time_start, time_end, id_qos"
        rows = self.mariadb.execute(f"SELECT {columns} FROM lab_job_table", SLURM_DATABASE)
        known = {row[0] or row[1] for row in rows}
        # A row that begins with the message of a step, which may come before that of its job, has no QOS at first.
        running = {row[1] for row in rows if row[2] == 1 and row[3] and not row[4] and row[5]}
        self.feed.refresh()
        return (set(self.jobs.values()) - known) | (running ^ {job.job_id for job in self.feed.jobs})

    def _all_scraped(self) -> bool:
        found = {series["metric"]["slurmjobid"] for series in self.prometheus.query("slurm_job_memory_rss")}
        shown = {str(job.key) for node in self.slurm.slurmd for job in self.simulators.activities(node)}
        return found >= shown

    # -- the service's configuration

    def _database(self, name: str) -> dict[str, Any]:
        return {
            "host": LOOPBACK,
            "port": self.mariadb.port,
            "user": databases.USER,
            "password_file": str(self.password_file),
            "database": name,
        }

    def _cluster(self, exporters: Sequence[str]) -> dict[str, Any]:
        # As tests/lab/slurm_config.py has it.
        priority = {"decay_half_life": "7d", "usage_reset_period": "none"}
        cluster: dict[str, Any] = {"slurmacct": {**self._database(SLURM_DATABASE), "priority": priority}}
        if self._with_prometheus:
            cluster["prometheus"] = {"url": self.prometheus.url, "matchers": {"cluster": "lab"}}
            cluster["exporters"] = {name: {"interval": "1s"} for name in exporters}
            cluster["nodes"] = {"login_nodes": LOGIN}
        return cluster

    def _cloud(self) -> dict[str, Any]:
        prometheus = {"url": self.prometheus.url, "matchers": {"cluster": "lab"}}
        return {"prometheus": prometheus, "interval": "1s", "idle": {"duration": "10s"}}

    def _quotas(self) -> dict[str, Any]:
        sources = {
            "scratch": {"source": "lfs_quota", "path": "/lustre07/scratch/", "of": "user"},
            "oldproject": {"source": "lfs_quota", "path": "/lustre02/project/"},
            "home": {"source": "gpfs", "of": "user"},
            "essproject": {"source": "gpfs", "filesystem": "project"},
            "rootset": {"source": "gpfs", "filesystem": "project", "filesets": ["root"]},
            "filesets": {"source": "gpfs", "filesystem": "project", "of": "fileset"},
        }
        return {name: {"cluster": "lab", "interval": "2s", "quota": quota} for name, quota in sources.items()}

    def _filesystem(self, interval: str) -> dict[str, Any]:
        return {
            "robinhood": self._database(databases.HSM),
            "interval": interval,
            "hsm": True,
            "quota": {"source": "allocations"},
        }
