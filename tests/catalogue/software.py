"""The public page of the scheduler (C15): use of the cluster and its software; what slurmctld says is elsewhere."""

from tests.catalogue.entry import Entry
from tests.catalogue.user import REFRESHED

_SERIES = "clusters/lab/series"
_APPLICATIONS = "clusters/lab/applications"
_MEANS = (
    "Ours are means over the time, which add up with `unaccounted` to what is measured; the medians of parts do not"
    " add up to anything. Rates are over at least four scrapes (22). What is not named by a pattern of the"
    " configuration is Unidentified."
)
_BY_DIRECTORY = " Each row has the top directory of its executables: the portal's two pies are sums of rows."
_OF_GPUS = (
    "A job's GPUs are shared among its executables by their CPU time, in one expression whose length does not grow with"
    " the number of jobs (37); the portal weighs executables by the time in which they are there."
)

ENTRIES = (
    Entry(id="PG9", portal="slurm_job:used_core:sum{$F}", path=_SERIES, metric="used_cpus", tolerance=REFRESHED),
    Entry(id="PG10", portal="sum(slurm_job:used_gpu:sum{$F})", path=_SERIES, metric="used_gpus"),
    Entry(
        id="PG13", portal="sum(slurm_job:non_idle_gpu:sum_user_account{$F})", path=_SERIES, metric="busy_gpus",
    ),
    Entry(
        id="PG15", portal="sum(deriv(slurm_job_process_usage_total{$F}[2m]) > 0) by (exe)", path=_APPLICATIONS,
        metric="software", differs=_MEANS,
    ),
    *(
        Entry(
            id=name,
            portal=f'sum(deriv(slurm_job_process_usage_total{{exe{operator}"/cvmfs/.*", $F}}[2m]) > 0) by (exe)',
            path=_APPLICATIONS, metric="software, directory", differs=_MEANS + _BY_DIRECTORY,
        )
        for name, operator in (("PG16", "=~"), ("PG17", "!~"))
    ),
    Entry(
        id="PG18", portal="count(slurm_job_utilization_gpu{$F}) by (slurmjobid, gpu_type)",
        path=f"{_APPLICATIONS}?of=gpus", metric="software", differs=_OF_GPUS,
    ),
    Entry(
        id="PG19",
        portal='sum(deriv(slurm_job_process_usage_total{slurmjobid=~"$JOBS", $F}[1m]) > 0) by (exe, slurmjobid)',
        path=f"{_APPLICATIONS}?of=gpus", metric="software", differs=_OF_GPUS,
    ),
)  # fmt: skip
