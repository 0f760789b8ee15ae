"""``python -m tests.lab``: the whole stack and the service, until Ctrl-C."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tests.lab.packages import MissingPackagesError
from tests.lab.ports import LOOPBACK
from tests.lab.process import Daemon, DaemonError
from tests.lab.service import Service
from tests.lab.site import EXPORTERS, site_sections
from tests.lab.stack import Lab

# As they are shipped: what a portal asks of a site's Prometheus is there.
_RULES = Path(__file__).resolve().parents[2] / "rules" / "recording"


class _Asked(BaseException):
    """SIGINT or SIGTERM came."""


def main() -> int:
    """Run the lab and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="Run the real stack on this machine.")
    parser.add_argument("--no-service", action="store_true", help="do not start the aggregator")
    parser.add_argument("--port", type=int, help="port of the aggregator (default: a free one)")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask)
    try:
        _run(options.port, with_service=not options.no_service)
    except _Asked:
        return 0
    except (MissingPackagesError, DaemonError, PermissionError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _ask(number: int, frame: FrameType | None) -> None:
    # Once is enough: a second signal must not interrupt the clean-up.
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    raise _Asked


def _run(port: int | None, *, with_service: bool) -> None:
    started = time.monotonic()

    def progress(stage: str) -> None:
        print(f"[{time.monotonic() - started:5.1f} s] {stage}", file=sys.stderr, flush=True)

    with Lab(service_port=port, rule_files=sorted(_RULES.glob("*.yml")), progress=progress) as lab:
        config = lab.write_config(lab.root / "config.yml", exporters=EXPORTERS, extra=site_sections(lab.root))
        if not with_service:
            _wait(lab, config, progress)
            return
        progress("the service")
        service = Service(lab, config)
        service.start()
        try:
            _wait(lab, config, progress, service.daemon)
        finally:
            service.stop()


def _wait(lab: Lab, config: Path, progress: Callable[[str], None], service: Daemon | None = None) -> None:
    progress("ready; Ctrl-C ends everything")
    print(_table(lab, config, service), flush=True)
    while service is None or service.running:
        signal.sigtimedwait([], 1)  # a sleep that ends with any signal
    raise DaemonError(f"the service ended\n{service.tail()}")


def _table(lab: Lab, config: Path, service: Daemon | None) -> str:
    rows = [
        ("service", f"http://{LOOPBACK}:{lab.service_port}" if service else "not started"),
        ("configuration", str(config)),
        ("Prometheus", lab.prometheus.url),
        ("Alertmanager", lab.notifications.alertmanager.url),
        ("simulators", f"http://{LOOPBACK}:{lab.simulators.port}/slurm-job-exporter/node01"),
        ("MariaDB", f"mariadb --no-defaults --socket={lab.mariadb.socket} --user=root slurm_acct_db"),
        ("Slurm", f"SLURM_CONF={lab.slurm.files.slurm_conf} squeue"),
        *((f"job {name}", str(job_id)) for name, job_id in lab.jobs.items()),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


if __name__ == "__main__":
    sys.exit(main())
