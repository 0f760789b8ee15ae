"""A site on which jobs run for as long as somebody feeds it, and what the process that serves it holds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.samples import Samples
from tests.scenarios.site import Site

JOBS = range(1000, 1060)
NODES = [f"node{number:02d}" for number in range(1, 21)]
# How far Prometheus is told ahead of now, in seconds: more than a pause of the feeder, less than it refuses.
_AHEAD = 120.0


class Feeder:
    """Writes the samples of jobs that run; `feed` goes on where the last one ended."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._zero = site.samples.zero
        self._until = -300.0
        for number, job_id in enumerate(JOBS):
            site.job(job_id, nodelist=NODES[number % len(NODES)])

    def feed(self) -> None:
        """Write what is missing until two minutes from now."""
        since, until = self._until, time.time() - self._zero + _AHEAD
        if until - since < _AHEAD / 2:
            return
        samples = Samples(self._site.cluster)
        samples.zero = self._zero
        for node in NODES:
            samples.exporter(node, since=since, until=until)
            samples.chassis(node, 400.0, since=since, until=until)
        for number, job_id in enumerate(JOBS):
            _job(samples, job_id, NODES[number % len(NODES)], since, until)
        samples.write(self._site.servers.prometheus.url)
        self._until = since + int(until - since)


def _job(samples: Samples, job_id: int, node: str, since: float, until: float) -> None:
    labels = {"instance": f"{node}:9798", "job": "slurm_job", "slurmjobid": str(job_id), "user": "ann",
              "account": "phys"}  # fmt: skip
    for core in ("0", "1", "2", "3"):
        samples.add("slurm_job_core_usage_total", lambda at: 1e9 * (at + 300.0), core=core, since=since, until=until,
                    **labels)  # fmt: skip
    for kind in ("usage", "rss", "max"):
        samples.add(f"slurm_job_memory_{kind}", 1e9, since=since, until=until, **labels)


@contextmanager
def crowded(site: Site) -> Iterator[Feeder]:
    """Start a site with jobs that run, all of whose use is known."""
    site.use_exporters("slurm_job_exporter", "redfish_exporter")
    feeder = Feeder(site)
    feeder.feed()
    site.start(until=lambda: all_known(site))
    yield feeder


def all_known(site: Site) -> bool:
    """Tell whether the use of every job is joined, and its energy counted."""
    return all(
        len(site.samples_of(family)) == len(JOBS) for family in ("hpc_job_used_cpus", "hpc_job_energy_joules_total")
    )


def paths(site: Site) -> list[str]:
    """Give what the clients ask: lists, one job, and what is read on demand."""
    below = f"/api/v1/clusters/{site.cluster}"
    return [
        *(f"{below}{path}" for path in ("", "/jobs", "/users", "/accounts", "/nodes", f"/jobs/{JOBS[0]}")),
        f"{below}/jobs/{JOBS[1]}/series?metric=cpu",
        f"{below}/jobs/{JOBS[2]}",
        "/api/v1/status",
    ]


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: resident memory in bytes, threads, open descriptors."""

    memory: int
    threads: int
    descriptors: int


def held(pid: int) -> Held:
    """Read what a process holds from /proc."""
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return Held(
        int(status["VmRSS"].split()[0]) * 1024, int(status["Threads"]), sum(1 for _ in (folder / "fd").iterdir())
    )
