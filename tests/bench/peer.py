"""The nearest peer, query-exporter: five gauges of each job from a table, scraped as ours is; where it is installed."""

import http.client
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.bench.clocks import memory_megabytes
from tests.bench.figures import Figure, Point
from tests.bench.running import Running
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import Daemon, lab_environment, wait_until

NOT_INSTALLED = "query-exporter is not installed (--query-exporter)"
_GAUGES = ("used_cpus", "memory_used_bytes", "allocated_cpus", "wasted_cpus", "cpu_efficiency_ratio")
_LABELS = ("cluster", "slurmjobid", "account", "owner")
_ONCE = 3600
_TIMEOUT = 120.0
_MILLISECONDS = 1e3


def measure(place: Running, point: Point, repeats: int, program: str | None) -> dict[str, Figure]:
    """Scrape the demo, at rest, and query-exporter with the same number of jobs."""
    with place.at_rest():
        ours, _ = _scrape(place.service.url, repeats)
    resident, _ = place.memory()
    if program is None:
        return {"peer_scrape": Figure(ours, note=NOT_INSTALLED), "peer_memory": Figure(resident, note=NOT_INSTALLED)}
    with _query_exporter(place.service.daemon.log.parent, point.jobs, program) as (url, pid):
        theirs, samples = _scrape(url, repeats)
        memory, _ = memory_megabytes(pid)
    note = f"{point.samples:,} samples, query-exporter {samples:,}"
    return {"peer_scrape": Figure(ours, theirs, note), "peer_memory": Figure(resident, memory)}


@contextmanager
def _query_exporter(root: Path, jobs: int, program: str) -> Iterator[tuple[str, int]]:
    """Run it on a table of so many jobs; give its address and its process once it has read them all."""
    database, config, port = root / "jobs.sqlite", root / "query-exporter.yml", free_port()
    _fill(database, jobs)
    config.write_text(yaml.safe_dump(_config(database)))
    command = [program, f"--host={LOOPBACK}", f"--port={port}", f"--config={config}"]
    url = f"http://{LOOPBACK}:{port}"
    daemon = Daemon("query-exporter", command, log=root / "query-exporter.log", env=lab_environment(root),
                    ready=lambda: _answers(url))  # fmt: skip
    daemon.start()
    try:
        wait_until(lambda: _scrape(url, 1)[1] >= jobs * len(_GAUGES), _TIMEOUT, "query-exporter to read its jobs")
        assert daemon.pid is not None
        yield url, daemon.pid
    finally:
        daemon.stop()


def _fill(database: Path, jobs: int) -> None:
    columns = ", ".join((*(f"{name} TEXT" for name in _LABELS), *(f"{name} REAL" for name in _GAUGES)))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"CREATE TABLE jobs ({columns})")
        connection.executemany(
            f"INSERT INTO jobs VALUES ({', '.join('?' * (len(_LABELS) + len(_GAUGES)))})",
            (("demo", str(1_000_000 + n), f"def-acct{n % 100}", f"user{n % 400}", n % 64 / 7, n * 1e6 / 7, 4.0, 1.5,
              n % 97 / 97) for n in range(jobs)),
        )  # fmt: skip
        connection.commit()


def _config(database: Path) -> dict[str, object]:
    gauge = {"type": "gauge", "description": "A gauge of a job.", "labels": list(_LABELS)}
    query = {"interval": _ONCE, "databases": ["jobs"], "metrics": list(_GAUGES),
             "sql": f"SELECT {', '.join((*_LABELS, *_GAUGES))} FROM jobs"}  # fmt: skip
    return {
        "databases": {"jobs": {"dsn": f"sqlite:///{database}"}},
        "metrics": {name: dict(gauge) for name in _GAUGES},
        "queries": {"jobs": query},
    }


def _answers(url: str) -> bool:
    try:
        _scrape(url, 1)
    except OSError:
        return False
    return True


def _scrape(url: str, repeats: int) -> tuple[float, int]:
    """Scrape some times; give the median in milliseconds, and the lines of the page that are no comment."""
    seconds, body = [], b""
    for _ in range(repeats):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT)
        began = time.perf_counter()
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        body = connection.getresponse().read()
        seconds.append(time.perf_counter() - began)
        connection.close()
    return statistics.median(seconds) * _MILLISECONDS, sum(not line.startswith(b"#") for line in body.splitlines())
