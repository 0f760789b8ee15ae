"""Inputs from guilbaults/slurm-job-exporter: one set of series per job and compute node, from cgroups and GPUs.

A job may carry two label sets on a node for a while (account "error", a renamed user): `max by` the identity first,
so that no core or GPU is counted twice.
"""

from collections.abc import Callable

from aggregator.sources.prometheus.graphs import JOB, NODE, Graph, Series, slopes
from aggregator.sources.prometheus.inputs import Input

LARGEST_BYTES = 1e15  # an unlimited cgroup v1 limit is 9.2e18, a DCGM blank about 1e25

JOB_INPUTS = (
    Input(
        name="cpus",
        metric="slurm_job_core_usage_total",  # nanoseconds
        # deriv, not rate: rate divides by the whole window, so that a series born in it (a young job, an exporter that
        # came back) would look idle; deriv is the slope between the samples that there are. A cgroup's counter never
        # goes back while the job lives, and the join leaves out windows that reach into a previous run.
        # Of a single sample VictoriaMetrics makes a slope of 0: a job just born would look idle there. How many scrapes
        # there were is counted by a metric of one series per job, of which there are far fewer than cores.
        expression="sum by ($job, $node) (max by ($job, $node, core) (deriv($series[$window])))"
        " and max by ($job, $node) (count_over_time($scrapes[$window])) > 1",
        beside={"scrapes": "slurm_job_memory_usage"},
        scale=1e-9,
        high=1e5,
        recorded="job_node:slurm_job_core_usage:deriv$window",
        witness="cpu_seconds",
    ),
    Input(
        name="cpu_seconds",
        metric="slurm_job_core_usage_total",
        # Never recorded: a total belongs to its moment, and this one shows what the recorded slopes must have.
        expression="sum by ($job, $node) (max by ($job, $node, core) ($series))",
        scale=1e-9,
    ),
    Input(
        name="sampled_at",
        metric="slurm_job_memory_usage",  # one series for each job: all of a job's samples are of one scrape
        expression="max by ($job, $node) (timestamp($series))",
        high=1e11,
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

# Prometheus answers with samples of up to five minutes ago: of those nobody vouches for what is not there.
_NOW = "$series and timestamp($series) >= time() - $age"
GPU_INPUTS = (
    Input(
        name="gpu_utilization",
        metric="slurm_job_utilization_gpu",  # percent
        expression=f"max by ($job, $node, gpu) ({_NOW})",
        scale=0.01,
        high=1.005,
    ),
    Input(
        name="gpu_memory_bytes",
        metric="slurm_job_memory_usage_gpu",
        expression=f"max by ($job, $node, gpu) ({_NOW})",
        high=1e13,
    ),
)

# Who vouches: a target is slurm-job-exporter's when targets of its scrape job on its port have shown jobs within the
# hour. Another exporter of the node in the same scrape job has another port, and does not vouch. Steps of five minutes
# miss nothing, since a sample is found for so long.
_PORT = '"exporter_port", "$$1", "instance", "(?:[[].*[]]|[^:]*):([0-9]+)"'
_SERVING = (
    "group by (job, exporter_port) (label_replace(group by (job, instance) ($series)"
    f" or group by (job, instance) (last_over_time((group by (job, instance) ($series))[1h:5m])), {_PORT}))"
)


def _vouching(up: str) -> str:
    """Write which nodes' targets are all up: the smallest, since one of two that is down may be the one that sees."""
    return f"min by ($node) (label_replace({up}, {_PORT}) and on (job, exporter_port) {_SERVING}) == 1"


# The nodes whose exporter answers, also those that show no job. A sample that is older than those of which use is made
# says nothing of now.
HEALTHY_NODES = Input(
    name="healthy_nodes",
    metric="slurm_job_memory_usage",
    expression=_vouching("$up and timestamp($up) >= time() - $age"),
)
# The nodes whose exporter answered at every scrape of a ledger window: one without any scrape is not among them.
WINDOW_HEALTHY_NODES = Input(
    name="healthy_nodes",
    metric="slurm_job_memory_usage",
    expression=_vouching("min_over_time($up[$hold])"),
)

# The nodes whose exporter has shown a GPU within three days, and has not been down for five minutes since: what came
# back may not see any. Targets that are gone do not count.
GPU_NODES = Input(
    name="gpu_nodes",
    metric="slurm_job_utilization_gpu",
    expression=(
        "max by ($node) (max by (job, instance, $node)"
        " (max_over_time((time() * group by (job, instance, $node) ($series))[3d:5m]))"
        " > on (job, instance) group_left () max by (job, instance)"
        " (max_over_time((time() * ($up == bool 0) * ($up offset 5m == bool 0))[3d:5m]) or 0 * $up)"
        " and on (job, instance) $up)"
    ),
)

# Means over a ledger window.
WINDOW_MEMORY = Input(
    name="memory_bytes",
    metric="slurm_job_memory_rss",
    expression="max by ($job, $node) (avg_over_time($series_valid[$moments]))",
    high=LARGEST_BYTES,
)
WINDOW_GPU_UTILIZATION = Input(
    name="gpu_utilization",
    metric="slurm_job_utilization_gpu",
    expression="max by ($job, $node, gpu) (avg_over_time($series_valid[$moments]))",
    scale=0.01,
    high=1.005,
)
_BOARDS = {"boards": ("gpu", "!~", "MIG-.*")}
JOB_GPU_WATTS = Input(
    name="job_gpu_watts",
    metric="slurm_job_power_gpu",  # milliwatts
    # A MIG slice shows the power of its whole board: added up, a board would count once for each slice.
    expression="max by ($job, $node, gpu) (avg_over_time($boards_valid[$moments]))",
    selectors=_BOARDS,
    scale=1e-3,
    low=1.0,
    high=1e5,
)
GPU_WATTS_NOW = Input(
    name="job_gpu_watts",
    metric="slurm_job_power_gpu",
    expression="sum by ($node) (max by ($job, $node, gpu) ($boards_valid))",
    selectors=_BOARDS,
    scale=1e-3,
    low=1.0,
    high=1e5,
)

# The newest scrape of any exporter: no later time is known of.
NEWEST = Input(name="newest", metric="up", expression="max(timestamp($series))")

# What is shown over time of a job, and of the jobs of a node.
_OF_JOB = {"job": JOB}
_OF_BOTH = {"job": JOB, "node": NODE}
_MEMORY_KINDS = (
    "usage", "limit", "max", "cache", "rss", "rss_huge", "mapped_file", "active_file", "inactive_file", "unevictable",
)  # fmt: skip
_DCGM = {
    "sm_occupancy": "Occupancy of the SMs", "tensor": "Tensor pipe active", "fp64": "FP64 pipe active",
    "fp32": "FP32 pipe active", "fp16": "FP16 pipe active",
}  # fmt: skip
# One series for each job and node, at every scrape: it shows when there was one.
SCRAPES = {"scrapes": Series("slurm_job_memory_usage")}
_CORES = {"cores": Series("slurm_job_core_usage_total"), **SCRAPES}  # nanoseconds
APPLICATIONS = 20


def core_slopes(sums: Callable[[str], str]) -> str:
    """Write sums of how busy cores are, by job and node at least."""
    return slopes(sums, "cores", "$job, $node", seen="scrapes")


def busy_programs(labels: str) -> str:
    """Write how busy executables are. The sum over live processes goes back when one ends: that is no use."""
    slope = "deriv($executables[$window]) and count_over_time($executables[$recent]) > 0"
    return f"max by ({labels}) ({slope}) > 0"


def _gpu_graph(name: str, metric: str, help_text: str, unit: str, *, scale: float, high: float, by: str = "") -> Graph:
    labels = f"$job, $node, gpu, gpu_type{by}"
    return Graph(
        name=name, help=help_text, unit=unit, by=_OF_BOTH, series={"gpus": Series(metric)},
        expression=f"max by ({labels}) ($gpus_mean)", scale=scale, high=high,
    )  # fmt: skip


GRAPHS = (
    Graph(
        name="cpu", help="Busy CPUs on each node.", unit="cpus", by=_OF_BOTH, series=_CORES,
        expression=core_slopes(lambda slope: f"sum by ($job, $node) (max by ($job, $node, core) ({slope}))"),
        scale=1e-9, high=1e5,
    ),
    Graph(
        name="cpu_cores", help="How busy each core is; on cgroup v2 the mean of the job's cores on the node.",
        unit="cpus", by=_OF_JOB, series=_CORES,
        expression=core_slopes(lambda slope: f"max by ($job, $node, core) ({slope})"), scale=1e-9, high=2.0,
    ),
    Graph(
        name="memory", help="Memory of each kind on each node, as the cgroup counts it.", unit="bytes", by=_OF_BOTH,
        series={kind: Series(f"slurm_job_memory_{kind}") for kind in _MEMORY_KINDS},
        expression=" or ".join(
            f'label_replace(max by ($job, $node) (${kind}_mean), "kind", "{kind}", "", "")' for kind in _MEMORY_KINDS
        ),
        high=LARGEST_BYTES,
    ),
    Graph(
        name="processes", help="Processes on each node.", unit="processes", by=_OF_BOTH,
        series={"processes": Series("slurm_job_process_count")},
        expression="max by ($job, $node) ($processes_mean)", high=1e7,
    ),
    Graph(
        name="threads", help="Threads on each node by their state.", unit="threads", by=_OF_BOTH,
        series={"threads": Series("slurm_job_threads_count")},
        expression="max by ($job, $node, state) ($threads_mean)", high=1e7,
    ),
    Graph(
        name="applications", help="Busy CPUs of each executable that has used a minute of CPU time.", unit="cpus",
        by=_OF_BOTH, series={"executables": Series("slurm_job_process_usage_total"), **SCRAPES},
        expression=f"sum by ($job, application) (label_replace({busy_programs('$job, $node, exe')}, "
        '"application", "$$1", "exe", "(?:.*/)?([^/]+)"))',
        there="group by ($job) ($scrapes_now)", there_by="$job",
        high=1e5, top=APPLICATIONS, folded="application", whole="cpu",
    ),
    _gpu_graph(
        "gpu_utilization", "slurm_job_utilization_gpu",
        "DCGM: share of the SMs that are active; NVML: share of the time in which a kernel runs.",
        "ratio", scale=0.01, high=1.005,
    ),
    *(
        _gpu_graph(f"gpu_{name}", f"slurm_job_{name}_gpu", f"{text} (DCGM).", "ratio", scale=0.01, high=1.005)
        for name, text in _DCGM.items()
    ),
    _gpu_graph(
        "gpu_memory_utilization", "slurm_job_utilization_gpu_memory",
        "Share of the time in which the GPU's memory is read or written, not how full it is.",
        "ratio", scale=0.01, high=1.005,
    ),
    _gpu_graph("gpu_memory", "slurm_job_memory_usage_gpu", "Memory used on the GPU.", "bytes", scale=1.0, high=1e13),
    _gpu_graph("gpu_memory_total", "slurm_job_memory_total_gpu", "Memory of the GPU.", "bytes", scale=1.0, high=1e13),
    _gpu_graph(
        "gpu_power", "slurm_job_power_gpu", "Power of the board; a MIG slice shows that of the whole board.",
        "watts", scale=1e-3, high=2000.0,
    ),
    _gpu_graph(
        "gpu_pcie", "slurm_job_pcie_gpu", "PCIe traffic by direction.", "bytes per second", scale=1.0, high=1e13,
        by=", direction",
    ),
    _gpu_graph(
        "gpu_nvlink", "slurm_job_nvlink_gpu", "NVLink traffic by direction.", "bytes per second", scale=1.0, high=1e13,
        by=", direction",
    ),
)  # fmt: skip
