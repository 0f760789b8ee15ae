"""Inputs from guilbaults/slurm-job-exporter: one set of series per job and compute node, from cgroups and GPUs.

A job may carry two label sets on a node for a while (account "error", a renamed user): `max by` the identity first,
so that no core or GPU is counted twice.
"""

from aggregator.sources.prometheus.inputs import Input

LARGEST_BYTES = 1e15  # an unlimited cgroup v1 limit is 9.2e18, a DCGM blank about 1e25

JOB_INPUTS = (
    Input(
        name="cpus",
        metric="slurm_job_core_usage_total",  # nanoseconds
        # deriv, not rate: rate divides by the whole window, so that a series born in it (a young job, an exporter that
        # came back) would look idle; deriv is the slope between the samples that there are. A cgroup's counter never
        # goes back while the job lives, and the join leaves out windows that reach into a previous run.
        expression="sum by ($job, $node) (max by ($job, $node, core) (deriv($series[$window])))",
        scale=1e-9,
        high=1e5,
    ),
    Input(
        name="cpu_seconds",
        metric="slurm_job_core_usage_total",
        expression="sum by ($job, $node) (max by ($job, $node, core) ($series))",
        scale=1e-9,
    ),
    Input(
        name="memory_bytes",
        metric="slurm_job_memory_rss",
        expression="max by ($job, $node) ($series)",
        high=LARGEST_BYTES,
    ),
    Input(
        name="memory_peak_bytes",
        metric="slurm_job_memory_max",  # with page cache; absent on cgroup v2 before kernel 5.14's memory.peak
        expression="max by ($job, $node) ($series)",
        high=LARGEST_BYTES,
    ),
    Input(
        name="threads",
        metric="slurm_job_threads_count",
        # A state with no thread has no series: a job whose threads all sleep runs 0. Before 0.0.12 there is no state.
        expression="max by ($job, $node) ($running) or 0 * max by ($job, $node) ($stated)",
        selectors={"running": ("state", "=", "running"), "stated": ("state", "!=", "")},
        high=1e7,
    ),
)

GPU_INPUTS = (
    Input(
        name="gpu_utilization",
        metric="slurm_job_utilization_gpu",  # percent
        expression="max by ($job, $node, gpu) ($series)",
        scale=0.01,
        high=1.005,
    ),
    Input(
        name="gpu_memory_bytes",
        metric="slurm_job_memory_usage_gpu",
        expression="max by ($job, $node, gpu) ($series)",
        high=1e13,
    ),
)

# The nodes whose exporter answers, also those that show no job: `up` of the scrape jobs that deliver job series.
HEALTHY_NODES = Input(
    name="healthy_nodes",
    metric="slurm_job_memory_usage",
    expression="max by ($node) ($up and on (job) group by (job) ($series)) == 1",
)

# Means over a ledger window.
WINDOW_MEMORY = Input(
    name="memory_bytes",
    metric="slurm_job_memory_rss",
    expression="max by ($job, $node) (avg_over_time($series[$hold]))",
    high=LARGEST_BYTES,
)
WINDOW_GPU_UTILIZATION = Input(
    name="gpu_utilization",
    metric="slurm_job_utilization_gpu",
    expression="max by ($job, $node, gpu) (avg_over_time($series[$hold]))",
    scale=0.01,
    high=1.005,
)
JOB_GPU_WATTS = Input(
    name="job_gpu_watts",
    metric="slurm_job_power_gpu",  # milliwatts
    # A MIG slice shows the power of its whole board: added up, a board would count once for each slice.
    expression="sum by ($job, $node) (max by ($job, $node, gpu) (avg_over_time($boards[$hold])))",
    selectors={"boards": ("gpu", "!~", "MIG-.*")},
    scale=1e-3,
    high=1e5,
)
