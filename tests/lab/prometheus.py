"""A Prometheus server that scrapes the simulators and the service."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.lab.packages import PROMETHEUS, ensure_packages, program
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import Daemon, lab_environment
from tests.lab.simulators import Target

_SCRAPE_INTERVAL = "1s"


class PrometheusServer:
    """A Prometheus in a folder of *root*; its data survive stop and start."""

    def __init__(
        self,
        root: Path,
        *,
        cluster: str = "lab",
        simulators_port: int | None = None,
        targets: Mapping[str, Sequence[Target]] | None = None,
        service_port: int | None = None,
        more_service_ports: Sequence[int] = (),
        rule_files: Sequence[Path] = (),
        evaluation_interval: str = _SCRAPE_INTERVAL,
        external_labels: Mapping[str, str] | None = None,
        alerting: Mapping[str, Any] | None = None,
        alertmanager_port: int | None = None,
        binary: str | None = None,
        flags: Sequence[str] = (),
        retention: str = "15d",
        late_window: str = "0s",
        scrape_limits: Mapping[str, int] | None = None,
    ) -> None:
        """
        Prepare its configuration; *more_service_ports* are replicas of the service.

        *rule_files* are evaluated every *evaluation_interval*; their alerts go to *alertmanager_port*, on the terms of
        *alerting* (the section of that name). Remote writes may be *late_window* behind the newest sample.
        *scrape_limits* are those of the service's scrapes, such as label_value_length_limit.
        """
        ensure_packages(PROMETHEUS)
        self.port = free_port()
        self.folder = root / "prometheus"
        self._config = {
            "global": {
                "scrape_interval": _SCRAPE_INTERVAL,
                "evaluation_interval": evaluation_interval,
                "external_labels": dict(external_labels or {}),
            },
            "storage": {"tsdb": {"out_of_order_time_window": late_window}},
            "rule_files": [str(path) for path in rule_files],
            "alerting": dict(alerting or {}) | (_alertmanager(alertmanager_port) if alertmanager_port else {}),
            "scrape_configs": [
                *(_exporters(job, these, simulators_port, cluster) for job, these in (targets or {}).items()),
                *([{**_service([service_port, *more_service_ports]), **(scrape_limits or {})}] if service_port else []),
            ],
        }
        self.daemon = Daemon(
            "prometheus",
            [
                binary or program("prometheus"),
                f"--config.file={self.folder}/prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--storage.tsdb.retention.time={retention}",
                f"--web.listen-address={LOOPBACK}:{self.port}",
                "--log.level=warn",
                *flags,
            ],
            log=self.folder / "prometheus.log",
            # The machine's proxy must not stand between Prometheus and loopback.
            env=lab_environment(root, NO_PROXY="*"),
            ready=self._ready,
        )

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(self._config, sort_keys=False))
        self.daemon.start()

    def stop(self) -> None:
        self.daemon.stop()

    def kill(self) -> None:
        self.daemon.kill()

    def query(self, expr: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the instant query's result, as the API gives it: ``metric`` and ``value`` of each series."""
        when = {} if at is None else {"time": at}
        answer = json.loads(self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expr, **when})))
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the range query's result: ``metric`` and ``values`` of each series."""
        parameters = urllib.parse.urlencode({"query": expr, "start": start, "end": end, "step": step})
        answer = json.loads(self._get("/api/v1/query_range?" + parameters))
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def value(self, expr: str) -> float | None:
        """Return the value of the one series that *expr* gives, None without one."""
        result = self.query(expr)
        if len(result) > 1:
            raise ValueError(f"{expr} gives {len(result)} series")
        return float(result[0]["value"][1]) if result else None

    def alerts(self) -> list[dict[str, str]]:
        """Return the labels of the alerts that are pending or firing, by the rules' last evaluation."""
        answer = json.loads(self._get("/api/v1/alerts"))
        return [alert["labels"] for alert in answer["data"]["alerts"]]

    def _ready(self) -> bool:
        try:
            self._get("/-/ready")
        except OSError:
            return False
        return True

    def _get(self, path: str) -> bytes:
        # Without the environment's proxies.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.url + path, timeout=30) as answer:
                body: bytes = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise OSError(f"Prometheus: {os.fsdecode(error.read())}") from error
        return body


def _exporters(job: str, targets: Sequence[Target], port: int | None, cluster: str) -> dict[str, Any]:
    """Return a scrape job in which one address stands for all nodes, told apart by the path."""
    return {
        "job_name": job,
        "static_configs": [
            {
                "targets": [f"{LOOPBACK}:{port}"],
                "labels": {"__metrics_path__": target.path, "instance": target.instance, "cluster": cluster},
            }
            for target in targets
        ],
    }


def _alertmanager(port: int) -> dict[str, Any]:
    return {"alertmanagers": [{"static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}]}]}


def _service(ports: Sequence[int]) -> dict[str, Any]:
    # The service's own label "cluster" must win.
    return {
        "job_name": "hpc-aggregator",
        "honor_labels": True,
        "static_configs": [{"targets": [f"{LOOPBACK}:{port}" for port in ports]}],
    }
