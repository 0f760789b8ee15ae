"""Inputs from AMD's device-metrics-exporter: GPUs, and which job has each, by Slurm's prolog.

Facts from github.com/ROCm/device-metrics-exporter, v1.5: docs/configuration/metricslist.md,
docs/integrations/slurm-integration.md, docs/releasenotes.md. The job is the label `job_id` if the site has configured
it, "" without a job. gpu_gfx_activity is in percent, gpu_used_vram in MB, gpu_package_power (MI3xx) or
gpu_average_package_power (MI2xx) in watts. Of partitions (CPX) there is no activity, and the power of the first is that
of all. Before v1.4 what a GPU lacks is 0. The site may put a prefix before all names: `metrics` has them then.

Two others are not read. amd_smi_exporter (github.com/amd/amd_smi_exporter) knows no jobs. omnistat
(github.com/ROCm/omnistat: collector_amdsmi.py, collector_rms.py) has rocm_utilization_percentage by `card`, and on
rmsjob_info the job of the node, the newest of several: nobody can tell which cards a job has that has not got them all,
and one of eight busy cards would look like an eighth of a busy one.
"""

from aggregator.sources.prometheus.exporter import Exporter, Needed, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import Expression, Metric

_NAMED = (("job_id", "!=", ""),)
_WHOLE = (*_NAMED, ("gpu_compute_partition_type", "=~", "(?i)(spx)?"))
_BUSY, _USED = "gpu_gfx_activity", "gpu_used_vram"
_PACKAGE, _AVERAGE = "gpu_package_power", "gpu_average_package_power"
_MEAN = "avg_over_time(${0}_valid[$moments])"


def _of_jobs(value: str) -> str:
    return f"max by ($job, $node, $gpu_uuid, $gpu_id, $serial_number) ({value})"


_NOW = _of_jobs("$gpus and timestamp($gpus) >= time() - $age")
_ACTIVITY = {"gpus": Metric(_BUSY, _WHOLE)}
UTILIZATION = Expression(
    name="job_utilization", metrics=_ACTIVITY, text=_NOW, scale=0.01, high=1.005, job_label="job_id"
)  # fmt: skip
MEMORY = Expression(
    name="job_memory", metrics={"gpus": Metric(_USED, _NAMED)}, text=_NOW, scale=2.0**20, high=1e13, job_label="job_id"
)
WINDOW_UTILIZATION = Expression(
    name="job_utilization", metrics=_ACTIVITY, text=_of_jobs(_MEAN.format("gpus")), scale=0.01, high=1.005,
    job_label="job_id",
)  # fmt: skip
WATTS = Expression(
    name="job_watts", metrics={"package": Metric(_PACKAGE, _WHOLE), "average": Metric(_AVERAGE, _WHOLE)},
    text=_of_jobs(f"{_MEAN.format('package')} or {_MEAN.format('average')}"), low=1.0, high=1e5, job_label="job_id",
)  # fmt: skip

PROVIDES = Provides(
    gpus=(UTILIZATION, MEMORY), gpu_labels=("gpu_uuid", "gpu_id", "serial_number"),
    of_windows=OfWindows(gpu_utilization=WINDOW_UTILIZATION, gpu_watts=WATTS),
)  # fmt: skip
NEEDED = (
    needed(_BUSY, "GPUs used by jobs, where a job is named"),
    needed(_USED, "GPU memory used by jobs, where a job is named", always=False),
    Needed("the power of jobs' GPUs", (_PACKAGE, _AVERAGE), always=False),
)

EXPORTER = Exporter(inputs=PROVIDES.asked, needed=NEEDED, provides=PROVIDES)
