"""hpc_job_*: the run that owns each job id, while it is open and for ended_job_retention after."""

from collections.abc import Callable, Iterable, Sequence

from aggregator.families.spec import Entity, Family, LabelValues, View
from aggregator.model.view import ClusterView, Job

_COST = "jobs"
_SLURMACCT = "slurmacct job_table"
_EXPORTER = "slurm-job-exporter"


def _jobs(view: View) -> Sequence[Job]:
    return view.series if isinstance(view, ClusterView) else ()


JOB: Entity[Job] = Entity(
    name="job",
    group="jobs",
    labels=("cluster", "slurmjobid", "user", "account"),
    of=_jobs,
    label_values=lambda _, job: (job.run.cluster, str(job.run.job_id), job.run.user, job.run.account),
)


def _job(name: str, help: str, source: str, value: Callable[[Job], float | None]) -> Family[Job]:
    return Family(name=f"hpc_job_{name}", help=help, entity=JOB, cost=_COST, source=source, value=value)


def _info(job: Job) -> Iterable[tuple[LabelValues, float]]:
    run = job.run
    yield (
        (
            run.partition, run.qos, run.state.name.lower(), run.name, _optional(run.array_job_id),
            _optional(run.array_task_id), _optional(run.het_job_id), ",".join(sorted(filter(None, run.allocated.gpus))),
        ),
        1.0,
    )  # fmt: skip


def _optional(number: int | None) -> str:
    return "" if number is None else str(number)


def _held(job: Job, amount: float | None) -> float | None:
    """Give an allocated amount; a run that has not started holds nothing, which is no sample."""
    return amount if job.run.start is not None else None


def _cpus(job: Job) -> float | None:
    """Give the CPUs; a run without any is one of which slurmdbd does not say."""
    return _held(job, job.run.held.cpus) if job.run.allocated.cpus else None


def _now(value: Callable[[Job], float | None]) -> Callable[[Job], float | None]:
    """Make a value that is of now: a run that has ended has none any more."""
    return lambda job: value(job) if job.run.is_open else None


def _gpu_equivalents(job: Job) -> float | None:
    return _held(job, job.run.allocated.gpu_equivalents) if job.run.allocated.gpus else None


def _gpus_by_type(job: Job) -> Iterable[tuple[LabelValues, float | None]]:
    return (((gpu_type,), _held(job, count)) for gpu_type, count in job.run.allocated.gpus.items())


def _coverage(job: Job) -> Iterable[tuple[LabelValues, float | None]]:
    use = job.use
    yield ("cpu",), use.cpu_coverage
    yield ("memory",), use.memory_coverage
    yield ("gpu",), use.gpu.coverage if use.gpu else None
    yield ("power",), job.ledger.power_coverage if job.ledger else None
    yield ("lustre",), job.lustre.coverage if job.lustre else None


def _waste(job: Job) -> Iterable[tuple[LabelValues, float]]:
    return (((each.reason, each.severity), 1.0) for each in job.waste.findings)


FAMILIES: tuple[Family[Job], ...] = (
    Family(
        name="hpc_job_info",
        help="Facts of the job as labels, always 1.",
        entity=JOB,
        cost=_COST,
        source=_SLURMACCT,
        labels=("partition", "qos", "state", "job_name", "array_job_id", "array_task_id", "het_job_id", "gpu_type"),
        samples=_info,
    ),
    _job("submit_timestamp_seconds", "When the run was submitted.", _SLURMACCT, lambda job: job.run.submit or None),
    _job("eligible_timestamp_seconds", "When the run became eligible to start.", _SLURMACCT,
         lambda job: job.run.eligible),
    _job("start_timestamp_seconds", "When the run started.", _SLURMACCT, lambda job: job.run.start),
    _job("end_timestamp_seconds", "When the run ended.", _SLURMACCT, lambda job: job.run.end),
    _job("time_limit_seconds", "Time limit of the run, absent when unlimited.", _SLURMACCT,
         lambda job: job.run.time_limit_seconds),
    _job("allocated_cpus", "CPUs that the job holds; none while it is suspended, for Slurm gives them to others.",
         f"{_SLURMACCT} tres_alloc", _cpus),
    _job("allocated_memory_bytes", "Memory that the job holds; absent where Slurm does not manage memory.",
         f"{_SLURMACCT} tres_alloc",
         lambda job: _held(job, job.run.allocated.memory_bytes)),
    _job("allocated_nodes", "Nodes that the job runs on.", f"{_SLURMACCT} tres_alloc",
         lambda job: _held(job, job.run.allocated.nodes)),
    Family(
        name="hpc_job_allocated_gpus",
        help="GPUs that the job holds, by Slurm's GPU type.",
        entity=JOB,
        cost="GPU jobs",
        source=f"{_SLURMACCT} tres_alloc",
        labels=("gpu_type",),
        samples=_gpus_by_type,
    ),
    _job("allocated_gpu_equivalents", "GPUs that the job holds, a MIG slice as its part of the board (3g.20gb: 3/7).",
         f"{_SLURMACCT} tres_alloc", _gpu_equivalents),
    _job("used_cpus", "CPUs busy now, without time that a hypervisor has stolen.",
         f"{_EXPORTER} deriv(slurm_job_core_usage_total)", _now(lambda job: job.use.cpus)),
    _job("memory_used_bytes", "Anonymous memory and swap cache now, over all nodes: no shared memory, no page cache.",
         f"{_EXPORTER} slurm_job_memory_rss", _now(lambda job: job.use.memory_bytes)),
    _job("memory_peak_bytes", "Peak memory of the run with page cache, summed over its nodes.",
         f"{_EXPORTER} slurm_job_memory_max", lambda job: job.use.memory_peak_bytes),
    _job("gpus_observed", "GPUs of the job that have a series; 0 while none has where it would be seen.",
         f"{_EXPORTER} count(slurm_job_utilization_gpu)",
         _now(lambda job: job.use.gpu.observed if job.use.gpu else None)),
    _job("gpus_busy", "GPUs of the job with a utilisation above 0.", f"{_EXPORTER} slurm_job_utilization_gpu > 0",
         _now(lambda job: job.use.gpu.busy if job.use.gpu else None)),
    _job("gpu_utilization_ratio", "Mean utilisation of the allocated GPUs; one unseen where it would be seen counts 0.",
         f"{_EXPORTER} slurm_job_utilization_gpu", _now(lambda job: job.use.gpu.utilization if job.use.gpu else None)),
    _job("gpu_memory_used_bytes", "GPU memory in use on the job's GPUs.", f"{_EXPORTER} slurm_job_memory_usage_gpu",
         _now(lambda job: job.use.gpu.memory_bytes if job.use.gpu else None)),
    _job("running_threads", "Threads in the running state.", f'{_EXPORTER} slurm_job_threads_count{{state="running"}}',
         _now(lambda job: job.use.threads)),
    _job("cpu_efficiency_ratio", "CPU time used ÷ held until the newest sample; absent if less than half was seen.",
         f"{_EXPORTER} slurm_job_core_usage_total ÷ (observed time × tres_alloc cpu)", lambda job: job.efficiency.cpu),
    _job("memory_efficiency_ratio", "Peak memory ÷ memory held; absent where Slurm does not manage memory.",
         f"{_EXPORTER} slurm_job_memory_max ÷ tres_alloc mem", lambda job: job.efficiency.memory),
    _job("time_limit_used_ratio", "Elapsed time ÷ time limit.", f"{_SLURMACCT} time_start, timelimit",
         lambda job: job.efficiency.time_limit_used),
    Family(
        name="hpc_job_coverage_ratio",
        help="Samples seen ÷ expected: nodes with a series, judged GPUs, time that energy rests on, Lustre's targets.",
        entity=JOB,
        cost="3–5 × running jobs",
        source=f"{_EXPORTER}; power: the ledger; lustre: lustre_exporter",
        labels=("input",),
        samples=_coverage,
    ),
    _job("wasted_cpus", "CPUs held and not busy now, at least 0; absent below a coverage of 0.8.",
         "allocated − used", _now(lambda job: job.efficiency.wasted_cpus)),
    _job("wasted_memory_bytes", "Memory held above both the fair share and the peak.",
         "allocated − max(peak, fair share)", _now(lambda job: job.efficiency.wasted_memory_bytes)),
    _job("wasted_gpus", "GPUs held − the sum of their utilisation; absent below a coverage of 0.8.",
         "judged GPUs − Σ utilisation", _now(lambda job: job.efficiency.wasted_gpus)),
    _job("wasted_cpu_seconds", "CPU time held and not used until the newest sample, at least 0.",
         f"observed time × tres_alloc cpu − {_EXPORTER} slurm_job_core_usage_total",
         lambda job: job.efficiency.wasted_cpu_seconds),
    _job("wasted_gpu_seconds", "GPU time held and not utilised over the run so far, as far as it was observed.",
         "the ledger: observed GPU time − Σ utilisation × time", lambda job: job.efficiency.wasted_gpu_seconds),
    _job("gpu_idle_seconds",
         "How long all GPUs of the job have been idle, as observed; unobserved time neither adds nor subtracts.",
         "the ledger", lambda job: job.ledger.gpu_idle_seconds if job.ledger and job.ledger.gpu_seconds else None),
    Family(
        name="hpc_job_waste",
        help="1 while a rule of waste holds at this severity; no sample does not mean no waste (docs/waste.md).",
        entity=JOB,
        cost="running jobs × rules that hold",
        source="rules of waste",
        labels=("reason", "severity"),
        samples=_waste,
    ),
)  # fmt: skip
