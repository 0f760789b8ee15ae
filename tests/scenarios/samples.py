"""Series as functions of time, written to a real Prometheus at times of their own, past and near future."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.lab.remote_write import STALE, Written, remote_write

# What an exporter would still write while the test runs; Prometheus takes no more than ten minutes of the future.
AHEAD = 240.0
Value = float | Callable[[float], float | None]


class Samples:
    """
    Series of one cluster; times are seconds before (negative) or after the creation of this object, its `zero`.

    A value may be a function of that time; where it gives None there is no sample.
    """

    def __init__(self, cluster: str, interval: float = 1.0, begin: float = -600.0) -> None:
        self.zero = time.time()
        self.cluster = cluster
        self.interval, self.begin = interval, begin
        self.series: list[Written] = []

    def add(
        self, name: str, value: Value, *, since: float | None = None, until: float = AHEAD, ended: bool = False,
        interval: float | None = None, **labels: str,
    ) -> None:  # fmt: skip
        """Add a series with samples from *since* to *until*; *ended* puts Prometheus's mark of an end behind it."""
        since, interval = self.begin if since is None else since, interval or self.interval
        count = int((until - since) // interval)
        found = []
        for at in (since + number * interval for number in range(count)):
            number = value(at) if callable(value) else value
            if number is not None:
                found.append((self.zero + at, number))
        if ended:
            found.append((self.zero + since + count * interval, STALE))
        self.series.append(({"__name__": name, "cluster": self.cluster, **labels}, found))

    def exporter(self, node: str, up: Value = 1.0, job: str = "slurm_job", port: int = 9798, **more: Any) -> None:
        """Add `up` of an exporter of a node."""
        self.add("up", up, instance=f"{node}:{port}", job=job, **more)

    def job(
        self, job_id: int, node: str = "node01", *, cpus: int = 4, busy: float = 1.0, memory: Value = 1e9,
        user: str = "ann", account: str = "phys", job: str = "slurm_job", port: int = 9798, **more: Any,
    ) -> None:  # fmt: skip
        """Add what slurm-job-exporter shows of a job on a node: *busy* is the share of each of its CPUs."""
        labels = {"instance": f"{node}:{port}", "job": job, "slurmjobid": str(job_id), "user": user, "account": account}
        begin = more.get("since") or self.begin
        for core in range(cpus):
            self.add(
                "slurm_job_core_usage_total", lambda at: 1e9 * busy * (at - begin), core=str(core), **more, **labels
            )
        for kind in ("usage", "rss", "max"):
            self.add(f"slurm_job_memory_{kind}", memory, **more, **labels)

    def gpu(
        self, job_id: int, index: str = "0", node: str = "node01", *, busy: Value = 0.9, watts: Value = 300.0,
        memory: Value = 1e10, user: str = "ann", account: str = "phys", job: str = "slurm_job", port: int = 9798,
        **more: Any,
    ) -> None:  # fmt: skip
        """Add what slurm-job-exporter shows of one GPU of a job; *busy* is a ratio."""
        labels = {"instance": f"{node}:{port}", "job": job, "slurmjobid": str(job_id), "user": user, "account": account,
                  "gpu": index, "gpu_type": "NVIDIA A100-SXM4-40GB"}  # fmt: skip
        for name, value, factor in (
            ("utilization_gpu", busy, 100.0), ("power_gpu", watts, 1e3), ("memory_usage_gpu", memory, 1.0),
        ):  # fmt: skip
            self.add(f"slurm_job_{name}", _times(value, factor), **more, **labels)

    def host(self, node: str, *, cpus: int = 32, busy: float = 0.5, memory: float = 1e11, **more: Any) -> None:
        """Add what node_exporter shows of a node's CPUs and memory."""
        labels = {"instance": f"{node}:9100", "job": "node"}
        self.add("up", 1.0, **more, **labels)
        self.add("node_memory_MemTotal_bytes", memory, **more, **labels)
        for cpu in range(cpus):
            for mode, share in (("idle", 1 - busy), ("user", busy)):
                self.add("node_cpu_seconds_total", lambda at, share=share: 1e6 + share * at, cpu=str(cpu), mode=mode,
                         **more, **labels)  # fmt: skip

    def chassis(self, node: str, watts: Value, **more: Any) -> None:
        """Add the power that a node's BMC shows."""
        self.add("redfish_chassis_power_average_consumed_watts", watts, instance=f"{node}-oob", job="redfish", **more)

    def write(self, url: str, extra: Mapping[str, str] | None = None) -> None:
        """Write all series to the server at *url*, with labels more, and forget them."""
        for piece in _pieces(self.series):
            remote_write(f"{url}/api/v1/write", [({**labels, **(extra or {})}, found) for labels, found in piece])
        self.series = []


def _times(value: Value, factor: float) -> Value:
    if not callable(value):
        return value * factor
    return lambda at: None if (number := value(at)) is None else number * factor


def _pieces(series: list[Written], samples: int = 200_000) -> Iterator[list[Written]]:
    piece: list[Written] = []
    count = 0
    for each in series:
        piece.append(each)
        count += len(each[1])
        if count > samples:
            yield piece
            piece, count = [], 0
    if piece:
        yield piece
