"""A VictoriaMetrics server of one process, with its defaults."""

import urllib.request
from pathlib import Path

from tests.lab.packages import VICTORIAMETRICS, ensure_packages, program
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.process import Daemon, lab_environment


class VictoriaMetrics:
    """A VictoriaMetrics in a folder of *root*."""

    def __init__(self, root: Path) -> None:
        ensure_packages(VICTORIAMETRICS)
        self.port = free_port()
        self._folder = root / "victoria-metrics"
        self.daemon = Daemon(
            "victoria-metrics",
            [
                program("victoria-metrics"),
                f"-storageDataPath={self._folder}/data",
                f"-httpListenAddr={LOOPBACK}:{self.port}",
                "-loggerLevel=WARN",
            ],
            log=self._folder / "victoria-metrics.log",
            env=lab_environment(root, NO_PROXY="*"),
            ready=self._ready,
        )

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        self._folder.mkdir(exist_ok=True)
        self.daemon.start()

    def stop(self) -> None:
        self.daemon.stop()

    def flush(self) -> None:
        """Let queries find what was written just now."""
        self._get("/internal/force_flush")

    def _ready(self) -> bool:
        try:
            self._get("/health")
        except OSError:
            return False
        return True

    def _get(self, path: str) -> None:
        # Without the environment's proxies.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=10):
            pass
