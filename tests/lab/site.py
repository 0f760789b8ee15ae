"""What the lab's service is configured to, beyond the servers: scaled down from minutes to seconds."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.lab.service import Service
from tests.lab.stack import Lab

_REPOSITORY = Path(__file__).resolve().parents[2]
EXPORTERS = (
    "slurm_job_exporter", "redfish_exporter", "node_exporter", "lustre_exporter", "lustre_exporter_slurm",
    "slurm_exporter", "pcm_sensor_server", "lfs_quota_exporter", "gpfs_exporter",
)  # fmt: skip
ENERGY: dict[str, Any] = {
    "window": "2s",
    "backfill": "10m",
    "pue": 1.2,
    "co2": {"static_g_per_kwh": 30, "zone": "CA-QC"},
    "tariff": {"currency": "CAD", "per_kwh": 0.05, "cooling_share": 0.25, "cpu_hour": 0.01, "gpu_hour": {"default": 1}},
    # What a day of measuring would say.
    "node_classes": {"all": {"nodes": "node[01-10]", "idle_watts": 200}},
}
# Hours of idleness take too long here; the other rules keep their minimum runtime, which no job of the lab reaches.
RULES: dict[str, Any] = {
    "gpu_unused": {
        "minimum_runtime": "10s",
        "warning": [{"field": "gpu_idle_seconds", "operator": ">=", "threshold": "10s"}],
    }
}
EXEMPT = "exempt-*"


def site_sections(root: Path) -> dict[str, Any]:
    """Give the sections, and write the file of waste rules."""
    (root / "waste.yml").write_text(yaml.safe_dump({"rules": RULES}))
    return {
        "energy": ENERGY,
        "waste": {"rules_file": str(root / "waste.yml"), "exemptions": [{"job_name": EXEMPT}]},
    }


@contextmanager
def site_service(lab: Lab) -> Iterator[Service]:
    """Run the service in front of the lab with every exporter and all these sections, from its first joined use on."""
    # Prometheus scrapes without an identity; who asks the API as the tests themselves do is of the staff.
    auth = {"anonymous": ["health", "metrics"], "tokens": {"file": str(lab.root / "tokens.yml")}}
    extra = site_sections(lab.root) | {"auth": auth}
    config = lab.write_config(lab.root / "config.yml", exporters=EXPORTERS, extra=extra)
    staff = create_token(lab.root, "lab", "--scope=read:all", "--scope=ingest:lab")
    service = Service(lab, config, headers={"Authorization": f"Bearer {staff}"})
    try:
        # The last to be known: its slope must not reach back into the run before the requeue.
        service.start_and_join(lab.jobs["requeued"])
        yield service
    finally:
        service.stop()


def create_token(root: Path, name: str, *flags: str) -> str:
    """Make a token as an administrator does, and give its text."""
    command = [sys.executable, "-m", "aggregator", "token", "create", f"--tokens.file={root}/tokens.yml"]
    command += [f"--name={name}", *flags]
    return subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
