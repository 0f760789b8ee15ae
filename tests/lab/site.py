"""What the lab's service is configured to, beyond the servers: scaled down from minutes to seconds."""

from typing import Any

EXPORTERS = ("slurm_job_exporter", "redfish_exporter", "node_exporter")
ENERGY: dict[str, Any] = {
    "window": "2s",
    "backfill": "10m",
    "pue": 1.2,
    "co2": {"static_g_per_kwh": 30, "zone": "CA-QC"},
    "tariff": {"currency": "CAD", "per_kwh": 0.05, "cooling_share": 0.25, "cpu_hour": 0.01, "gpu_hour": {"default": 1}},
    # What a day of measuring would say.
    "node_classes": {"all": {"nodes": "node[01-10]", "idle_watts": 200}},
}
