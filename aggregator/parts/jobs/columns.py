"""The columns of `jobs`: a row per run, of which the one that owns its job id is shown at `/metrics`."""

from typing import Final

import polars as pl

from aggregator.engine.column import Family, Sample, Table
from aggregator.model.job_inputs import GPUS_BY_TYPE, LICENSES
from aggregator.parts.jobs.declare import (
    GPU_TYPE,
    LABELS,
    OPEN,
    coverage,
    coverage_of,
    fact,
    gauge,
    of_input,
    table_of_runs,
)
from aggregator.parts.jobs.efficiency import EFFICIENCY, GPU_MEAN

_SLURMACCT: Final = "slurmacct job_table"
_TRES: Final = f"{_SLURMACCT} tres_alloc"
_EXPORTER: Final = "slurm-job-exporter"
_CPU, _MEMORY, _GPU = map(coverage_of, ("cpu", "memory", "gpu"))
_GPUS: Final = ("gpu_utilization", "healthy_nodes", "gpu_nodes")
_INFO: Final = Family(
    name="hpc_job_info", help="Facts of the job as labels, always 1.", cost="jobs", source=_SLURMACCT,
    labels=("partition", "qos", "state", "job_name", "array_job_id", "array_task_id", "het_job_id",
            "het_job_offset", "gpu_type"),
)  # fmt: skip


_OF_INFO: Final = {
    **{name: name for name in ("partition", "qos", "state", "array_job_id", "array_task_id", "het_job_id")},
    "het_job_offset": "het_offset", "job_name": "job_name_label", "gpu_type": "gpu_types",
}  # fmt: skip
_IDENTITY: Final = (
    fact("run_id", pl.UInt64, "Key of the run in slurmdbd's job table (job_db_inx)."),
    fact("job_id", pl.Int64, "Numeric id of the job; an array task has one of its own."),
    fact("user", pl.String, "Who runs it."),
    fact("account", pl.String, "The account that is charged."),
    fact("state", pl.String, "Slurm's state in lower case.", sample=Sample(
        family=_INFO, label_columns=_OF_INFO, constant=True)),
    fact("partition", pl.String, "Partition, or those in which a pending job waits."),
    fact("qos", pl.String, "QOS, empty without one."),
    fact("job_name", pl.String, "What the user calls it."),
    fact("job_name_label", pl.String, "Its name as `/metrics` shows it: cut to limits.job_name_bytes."),
    fact("array_job_id", pl.Int64, "Id of the array.", "no array"),
    fact("array_task_id", pl.Int64, "Number of the task in the array.", "no task, or an array that is not split yet"),
    fact("pending_tasks", pl.Int64, "Tasks that an array that is not split yet stands for."),
    fact("het_job_id", pl.Int64, "Id of the heterogeneous job.", "no heterogeneous job"),
    fact("het_offset", pl.Int64, "Number of the component in it.", "no heterogeneous job"),
    fact("association_id", pl.Int64, "Key of the association."),
    fact("uid", pl.Int64, "Numeric id of the user."),
    fact("nodes", pl.List(pl.String), "Nodes of the allocation."),
    fact("gpu_types", pl.String, "Types of the GPUs that it was given, by commas."),
    fact(OPEN, pl.Boolean, "Whether it has not ended."),
    fact("is_owner", pl.Boolean, "Whether it is the run that is meant by the job id alone: the open or last one."),
)  # fmt: skip
_TIMES: Final = (
    gauge("submit_timestamp_seconds", "When the run was submitted.", _SLURMACCT),
    gauge("eligible_timestamp_seconds", "When the run became eligible to start.", _SLURMACCT, null="not yet"),
    gauge("start_timestamp_seconds", "When the run started.", _SLURMACCT, null="not yet"),
    gauge("end_timestamp_seconds", "When the run ended.", _SLURMACCT, null="not yet"),
    gauge("time_limit_seconds", "Time limit of the run, absent when unlimited.", _SLURMACCT, null="unlimited",
          adds_up=False),
    fact("elapsed_seconds", pl.Float64, "Time that it has run, suspensions apart."),
    fact("suspended_seconds", pl.Float64, "Time that it was suspended."),
    fact("suspended_since", pl.Float64, "When all its suspensions put together would have begun (epoch seconds).",
         "not suspended"),
)  # fmt: skip
_ALLOCATION: Final = (
    gauge("allocated_cpus", "CPUs that the job holds; none while it is suspended, for Slurm gives them to others.",
          _TRES, null="not started, or slurmdbd does not say"),
    gauge("allocated_memory_bytes", "Memory that the job holds; absent where Slurm does not manage memory.", _TRES,
          null="not started, or Slurm does not manage memory"),
    gauge("allocated_nodes", "Nodes that the job runs on.", _TRES, null="not started"),
    fact("allocated_gpus", pl.Float64, "GPUs that the job holds, of all types.", "not started", adds_up=True),
    gauge("allocated_gpu_equivalents", "GPUs that the job holds, a MIG slice as its part of the board (3g.20gb: 3/7).",
          _TRES, null="not started, or a job without GPUs"),
    fact("granted_cpus", pl.Int64, "CPUs that the run was given, also while it is suspended."),
    fact("granted_memory_bytes", pl.Int64, "Memory that the run was given.", "Slurm does not manage memory"),
    fact("granted_nodes", pl.Int64, "Nodes that the run was given."),
    fact("granted_gpus", pl.Int64, "GPUs that the run was given."),
    fact("granted_gpus_by_type", GPUS_BY_TYPE, "GPUs that the run was given, by type."),
    fact("granted_billing", pl.Int64, "Billing units that the run was given.", "Slurm does not track billing"),
    fact("granted_licenses", LICENSES, "Licenses that the run was given, by name."),
    fact("requested_cpus", pl.Int64, "CPUs that were asked for."),
    fact("requested_memory_bytes", pl.Int64, "Memory that was asked for.", "Slurm does not manage memory"),
    fact("requested_nodes", pl.Int64, "Nodes that were asked for."),
    fact("requested_gpus_by_type", GPUS_BY_TYPE, "GPUs that were asked for, by type."),
)  # fmt: skip
_USE: Final = (
    gauge("used_cpus", "CPUs busy now, without time that a hypervisor has stolen.",
          f"{_EXPORTER} deriv(slurm_job_core_usage_total)", where=OPEN, inputs=("cpus",), promql="sum($cpus)",
          coverage=_CPU),
    fact("cpu_seconds", pl.Float64, "CPU time used by the run.", inputs=("cpu_seconds",), promql="sum($cpu_seconds)"),
    gauge("memory_used_bytes", "Anonymous memory and swap cache now, over all nodes: no shared memory, no page cache.",
          f"{_EXPORTER} slurm_job_memory_rss", where=OPEN, inputs=("memory_bytes",), promql="sum($memory_bytes)",
          coverage=_MEMORY),
    gauge("memory_peak_bytes", "Peak memory of the run with page cache, summed over its nodes.",
          f"{_EXPORTER} slurm_job_memory_max", inputs=("memory_peak_bytes",), promql="sum($memory_peak_bytes)"),
    gauge("gpus_observed", "GPUs of the job that have a series; 0 while none has where it would be seen.",
          f"{_EXPORTER} count(slurm_job_utilization_gpu)", where=OPEN, inputs=_GPUS,
          promql="count($every_gpu_utilization) or vector(0)", coverage=_GPU),
    gauge("gpus_busy", "GPUs of the job with a utilisation above 0.", f"{_EXPORTER} slurm_job_utilization_gpu > 0",
          where=OPEN, inputs=_GPUS, promql="count(($gpu_utilization) > 0) or vector(0)", coverage=_GPU),
    fact("gpus_judged", pl.Float64, "GPUs of the job of whose use something is known.", "no GPUs, or none is seen",
         inputs=_GPUS, coverage=_GPU),
    gauge("gpu_utilization_ratio",
          "Mean utilisation of the allocated GPUs; one unseen where it would be seen counts 0.",
          f"{_EXPORTER} slurm_job_utilization_gpu", where=OPEN, inputs=_GPUS, promql=GPU_MEAN, coverage=_GPU),
    gauge("gpu_memory_used_bytes", "GPU memory in use on the job's GPUs.", f"{_EXPORTER} slurm_job_memory_usage_gpu",
          where=OPEN, inputs=("gpu_memory_bytes",), promql="sum($gpu_memory_bytes)", coverage=_GPU),
    gauge("running_threads", "Threads in the running state.", f'{_EXPORTER} slurm_job_threads_count{{state="running"}}',
          where=OPEN, inputs=("threads",), promql="sum($threads)"),
    fact("observed_seconds", pl.Float64, "How long of the run CPU time and peak tell of, as a mean over its nodes.",
         inputs=("sampled_at",)),
    coverage("cpu", "the job's nodes that show its CPUs", "cpus"),
    coverage("memory", "the job's nodes that show its memory", "memory_bytes"),
    coverage("gpu", "the job's GPUs that are judged", *_GPUS),
)  # fmt: skip
_UNITS: Final = (
    gauge("allocated_gpu_units", "GPUs that the job holds in the site's units, such as RGU (energy.gpu_classes).",
          f"{_TRES} × energy.gpu_classes", cost="GPU jobs",
          null="not started, no GPUs, or a type without units"),
)  # fmt: skip
# What slurmacct alone says.
FACTS: Final = tuple(of_input("slurmacct", (*_IDENTITY, *_TIMES, *_ALLOCATION)))
JOBS: Final = Table(
    name="jobs", of="job", collect="jobs", labels=LABELS, columns=(*FACTS, *_UNITS, *_USE, *EFFICIENCY),
    where="is_owner", size="allocated_cpus",
)  # fmt: skip
JOB_GPUS: Final = table_of_runs("job_gpus", "GPU type of a job", (
    GPU_TYPE,
    fact("count", pl.Int64, "How many the job holds.", sample=Sample(
        family=Family(name="hpc_job_allocated_gpus", help="GPUs that the job holds, by Slurm's GPU type.",
                      cost="GPU jobs", source=_TRES, labels=("gpu_type",)),
        label_columns={"gpu_type": "gpu_type"})),
))  # fmt: skip
