"""The service itself, as a process of its own in front of the lab."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.ports import LOOPBACK, answers
from tests.lab.process import Daemon, lab_environment, wait_until
from tests.lab.stack import Lab

_REPOSITORY = Path(__file__).resolve().parents[2]


class Service:
    """
    `hpc-aggregator serve` on the lab's configuration; can be stopped and started again.

    *command* is a whole command line to start instead, such as that of a container. *headers* go with every request
    that does not bring its own of these names.
    """

    def __init__(
        self,
        lab: Lab,
        config: Path,
        command: Sequence[str] | None = None,
        *,
        port: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        port = port or lab.service_port
        self.headers = dict(headers or {})
        self.url = f"http://{LOOPBACK}:{port}"
        self.daemon = Daemon(
            "hpc-aggregator",
            command or [sys.executable, "-m", "aggregator", "serve", f"--config.file={config}"],
            log=lab.root / f"service-{port}.log",
            env=lab_environment(lab.root, PYTHONPATH=str(_REPOSITORY)),
            ready=lambda: answers(port),
        )

    def start(self) -> None:
        self.daemon.start()

    def start_and_join(self, job_id: int) -> None:
        """Start, and wait until the use of this job is joined."""
        self.start()
        wait_until(lambda: self.value("hpc_job_used_cpus", slurmjobid=str(job_id)) is not None, 60, "the joined use")

    def stop(self) -> None:
        self.daemon.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.daemon.kill()

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET", timeout: float = 30
    ) -> tuple[int, bytes]:
        """Return the status and the body, whatever the status."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.url + path, headers={**self.headers, **(headers or {})}, method=method)
        try:
            with opener.open(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def data(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the data of a successful API answer."""
        status, body = self.get(path, headers)
        answer = json.loads(body)
        assert status == 200, answer
        assert answer["status"] == "success"
        return answer["data"]

    def families(self) -> dict[str, Metric]:
        """Scrape and parse /metrics."""
        _, body = self.get("/metrics")
        return {family.name: family for family in text_string_to_metric_families(body.decode())}

    def samples(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the samples of one family that carry these labels, by their labels."""
        family = self.families().get(name.removesuffix("_total"))
        found = family.samples if family else []
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for sample in found
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one sample with these labels, None without one."""
        found = list(self.samples(name, **labels).values())
        assert len(found) < 2, f"{name}{labels} has {len(found)} samples"
        return found[0] if found else None

    def terminate(self, timeout: float) -> int:
        """Send SIGTERM and return the exit status, which must come within *timeout* seconds."""
        return self.daemon.end(timeout)
