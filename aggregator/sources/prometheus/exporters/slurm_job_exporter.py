"""Inputs from guilbaults/slurm-job-exporter: one set of series per job and compute node, from cgroups and GPUs.

A job may carry two label sets on a node for a while (account "error", a renamed user): `max by` the identity first,
so that no core or GPU is counted twice.
"""

from aggregator.sources.prometheus.exporter import Exporter, OfWindows, Provides, needed
from aggregator.sources.prometheus.expression import JOB, NODE, Expression, Graph, Metric, largest
from aggregator.sources.prometheus.gpu_activity import DRAM, OCCUPANCY, TENSOR, activities
from aggregator.sources.prometheus.promql import extracted, lines, slopes, vouching

LARGEST_BYTES = 1e15  # an unlimited cgroup v1 limit is 9.2e18, a DCGM blank about 1e25

# One series for each job and node, at every scrape: it shows when there was one.
SCRAPES = {"scrapes": Metric("slurm_job_memory_usage")}
_CORES = {"cores": Metric("slurm_job_core_usage_total")}  # nanoseconds
_UP = {"up": Metric("up")}

CPUS = Expression(
    name="cpus",
    metrics={**_CORES, **SCRAPES},
    # deriv, not rate: rate divides by the whole window, so that a series born in it (a young job, an exporter that came
    # back) would look idle; deriv is the slope between the samples that there are. A cgroup's counter never goes back
    # while the job lives, and the join leaves out windows that reach into a previous run.
    # Of a single sample VictoriaMetrics makes a slope of 0: a job just born would look idle there. How many scrapes
    # there were is counted by a metric of one series per job, of which there are far fewer than cores.
    text="sum by ($job, $node) (max by ($job, $node, $core) (deriv($cores[$window])))"
    " and max by ($job, $node) (count_over_time($scrapes[$window])) > 1",
    scale=1e-9,
    high=1e5,
    recorded="job_node:slurm_job_core_usage:deriv$window",
    witness="cpu_seconds",
)
CPU_SECONDS = Expression(
    name="cpu_seconds",
    metrics=_CORES,
    # Never recorded: a total belongs to its moment, and this one shows what the recorded slopes must have.
    text="sum by ($job, $node) (max by ($job, $node, $core) ($cores))",
    scale=1e-9,
)
SAMPLED_AT = Expression(
    name="sampled_at",
    metrics=SCRAPES,  # all of a job's samples are of one scrape
    text="max by ($job, $node) (timestamp($scrapes))",
    high=1e11,
)
MEMORY = largest(
    "memory_bytes", "slurm_job_memory_rss", "$job, $node", high=LARGEST_BYTES,
    meaning="resident memory, without the page cache",
)  # fmt: skip
# Absent on cgroup v2 before kernel 5.14's memory.peak.
MEMORY_PEAK = largest(
    "memory_peak_bytes", "slurm_job_memory_max", "$job, $node", high=LARGEST_BYTES,
    meaning="largest memory of the cgroup, page cache included",
)  # fmt: skip
THREADS = Expression(
    name="threads",
    metrics={
        "running": Metric("slurm_job_threads_count", (("state", "=", "running"),)),
        "stated": Metric("slurm_job_threads_count", (("state", "!=", ""),)),
    },
    # A state with no thread has no series: a job whose threads all sleep runs 0. Before 0.0.12 there is no state.
    text="max by ($job, $node) ($running) or 0 * max by ($job, $node) ($stated)",
    high=1e7,
)
JOB_INPUTS = (CPUS, CPU_SECONDS, SAMPLED_AT, MEMORY, MEMORY_PEAK, THREADS)

# Prometheus answers with samples of up to five minutes ago: of those nobody vouches for what is not there.
_GPU_NOW = "max by ($job, $node, $gpu) ($gpus and timestamp($gpus) >= time() - $age)"
_UTILIZATION = {"gpus": Metric("slurm_job_utilization_gpu")}  # percent
GPU_UTILIZATION = Expression(
    name="gpu_utilization", metrics=_UTILIZATION, text=_GPU_NOW, scale=0.01, high=1.005
)  # fmt: skip
GPU_MEMORY = Expression(
    name="gpu_memory_bytes", metrics={"gpus": Metric("slurm_job_memory_usage_gpu")}, text=_GPU_NOW, high=1e13
)
GPU_INPUTS = (GPU_UTILIZATION, GPU_MEMORY)

# The nodes whose exporter answers, also those that show no job. A sample that is older than those of which use is made
# says nothing of now.
HEALTHY_NODES = Expression(
    name="healthy_nodes",
    metrics={**SCRAPES, **_UP},
    text=vouching("$scrapes", "$up and timestamp($up) >= time() - $age"),
)
# The nodes whose exporter answered at every scrape of a ledger window: one without any scrape is not among them.
WINDOW_HEALTHY_NODES = Expression(
    name="healthy_nodes", metrics={**SCRAPES, **_UP}, text=vouching("$scrapes", "min_over_time($up[$hold])")
)
# The nodes whose exporter has shown a GPU within three days, and has not been down for five minutes since: what came
# back may not see any. Targets that are gone do not count.
GPU_NODES = Expression(
    name="gpu_nodes",
    metrics={**_UTILIZATION, **_UP},
    text=(
        "max by ($node) (max by (job, instance, $node)"
        " (max_over_time((time() * group by (job, instance, $node) ($gpus))[3d:5m]))"
        " > on (job, instance) group_left () max by (job, instance)"
        " (max_over_time((time() * ($up == bool 0) * ($up offset 5m == bool 0))[3d:5m]) or 0 * $up)"
        " and on (job, instance) $up)"
    ),
)

# Means over a ledger window.
WINDOW_MEMORY = Expression(
    name="memory_bytes", metrics=MEMORY.metrics, text="max by ($job, $node) (avg_over_time($own_valid[$moments]))",
    high=LARGEST_BYTES,
)  # fmt: skip
WINDOW_GPU_UTILIZATION = Expression(
    name="gpu_utilization", metrics=_UTILIZATION,
    text="max by ($job, $node, $gpu) (avg_over_time($gpus_valid[$moments]))", scale=0.01, high=1.005,
)  # fmt: skip
# Milliwatts. A MIG slice shows the power of its whole board: added up, a board would count once for each slice.
BOARDS = {"boards": Metric("slurm_job_power_gpu", (("gpu", "!~", "MIG-.*"),))}
JOB_GPU_WATTS = Expression(
    name="job_gpu_watts", metrics=BOARDS, text="max by ($job, $node, $gpu) (avg_over_time($boards_valid[$moments]))",
    scale=1e-3, low=1.0, high=1e5,
)  # fmt: skip
GPU_WATTS_NOW = Expression(
    name="job_gpu_watts", metrics=BOARDS, text="sum by ($node) (max by ($job, $node, $gpu) ($boards_valid))",
    scale=1e-3, low=1.0, high=1e5,
)  # fmt: skip

# The newest scrape of any exporter: no later time is known of.
NEWEST = Expression(name="newest", metrics=_UP, text="max(timestamp($up))")
# The targets, up or not: where there is none nobody looks at the nodes.
TARGETS = Expression(name="targets", metrics=_UP, text="count($up)")

# A job without a process has no series of CPUs and memory; one that opens no GPU has none of GPUs.
PROVIDES = Provides(
    values=JOB_INPUTS, gpus=GPU_INPUTS, healthy_nodes=HEALTHY_NODES, gpu_nodes=GPU_NODES,
    of_windows=OfWindows(
        cpus=CPUS, memory=WINDOW_MEMORY, gpu_utilization=WINDOW_GPU_UTILIZATION, gpu_watts=JOB_GPU_WATTS,
        healthy_nodes=WINDOW_HEALTHY_NODES,
    ),
)  # fmt: skip
INPUTS = (*PROVIDES.asked, NEWEST, TARGETS, GPU_WATTS_NOW)

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
APPLICATIONS = 20
BASENAME = '"(?:.*/)?([^/]+)"'


def core_slopes(each: str, summed: str = "") -> str:
    """Write how busy cores are, each of them or by some labels; job and node are among both."""
    return slopes("cores", each, "$job, $node", summed=summed, seen="scrapes")


def busy_programs(labels: str) -> str:
    """Write how busy executables are. The sum over live processes goes back when one ends: that is no use."""
    slope = "deriv($executables[$window]) and count_over_time($executables[$recent]) > 0"
    return f"max by ({labels}) ({slope}) > 0"


def _gpu_graph(name: str, metric: str, help_text: str, unit: str, *, scale: float, high: float, by: str = "") -> Graph:
    return Graph(
        name=name, help=help_text, unit=unit, by=_OF_BOTH, metrics={"gpus": Metric(metric)}, scale=scale, high=high,
        text=f"max by ($job, $node, $gpu, $gpu_type{by}) ($gpus_mean)",
    )  # fmt: skip


GRAPHS = (
    Graph(
        name="cpu", help="Busy CPUs on each node.", unit="cpus", by=_OF_BOTH, metrics=CPUS.metrics,
        text=core_slopes("$job, $node, $core", "$job, $node"), scale=1e-9, high=1e5,
    ),
    Graph(
        name="cpu_cores", help="How busy each core is; on cgroup v2 the mean of the job's cores on the node.",
        unit="cpus", by=_OF_JOB, metrics=CPUS.metrics, text=core_slopes("$job, $node, $core"), scale=1e-9, high=2.0,
    ),
    Graph(
        name="memory", help="Memory of each kind on each node, as the cgroup counts it.", unit="bytes", by=_OF_BOTH,
        metrics={kind: Metric(f"slurm_job_memory_{kind}") for kind in _MEMORY_KINDS},
        text=lines("kind", {kind: f"max by ($job, $node) (${kind}_mean)" for kind in _MEMORY_KINDS}),
        high=LARGEST_BYTES,
    ),
    Graph(
        name="processes", help="Processes on each node.", unit="processes", by=_OF_BOTH,
        metrics={"processes": Metric("slurm_job_process_count")},
        text="max by ($job, $node) ($processes_mean)", high=1e7,
    ),
    Graph(
        name="threads", help="Threads on each node by their state.", unit="threads", by=_OF_BOTH,
        metrics={"threads": Metric("slurm_job_threads_count")},
        text="max by ($job, $node, $state) ($threads_mean)", high=1e7,
    ),
    Graph(
        name="applications", help="Busy CPUs of each executable that has used a minute of CPU time.", unit="cpus",
        by=_OF_BOTH, metrics={"executables": Metric("slurm_job_process_usage_total"), **SCRAPES},
        text="sum by ($job, application) "
        f"({extracted(busy_programs('$job, $node, $exe'), 'application', '$exe', BASENAME)})",
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
    _gpu_graph(
        "gpu_memory", "slurm_job_memory_usage_gpu", "Memory used on the GPU, whoever uses it.", "bytes", scale=1.0,
        high=1e13,
    ),
    _gpu_graph("gpu_memory_total", "slurm_job_memory_total_gpu", "Memory of the GPU.", "bytes", scale=1.0, high=1e13),
    _gpu_graph(
        "gpu_power", "slurm_job_power_gpu", "Power of the whole board, also where jobs or MIG slices share it.",
        "watts", scale=1e-3, high=2000.0,
    ),
    _gpu_graph(
        "gpu_pcie", "slurm_job_pcie_gpu", "PCIe traffic by direction.", "bytes per second", scale=1.0, high=1e13,
        by=", $direction",
    ),
    _gpu_graph(
        "gpu_nvlink", "slurm_job_nvlink_gpu", "NVLink traffic by direction.", "bytes per second", scale=1.0, high=1e13,
        by=", $direction",
    ),
)  # fmt: skip

# What is not known without which series.
NEEDED = (
    needed("up", "which nodes are observed, so that a job without series is idle and not unknown"),
    needed("slurm_job_memory_usage", "everything that jobs use: it shows when a job was scraped, CPUs as well"),
    needed("slurm_job_core_usage_total", "CPUs used by jobs"),
    needed("slurm_job_memory_rss", "memory used by jobs"),
    needed("slurm_job_memory_max", "the peak of memory (cgroup v2 needs memory.peak)", always=False),
    needed("slurm_job_threads_count", "threads", always=False),
    needed("slurm_job_utilization_gpu", "GPUs used by jobs", always=False),
    needed("slurm_job_memory_usage_gpu", "GPU memory used by jobs", always=False),
    needed("slurm_job_power_gpu", "the power of jobs' GPUs", always=False),
)  # fmt: skip

# DCGM's profiling; where there is NVML alone, DRAM's is how busy the memory's controller is.
ACTIVITIES = activities(
    "slurm-job-exporter",
    {OCCUPANCY: "slurm_job_sm_occupancy_gpu", TENSOR: "slurm_job_tensor_gpu", DRAM: "slurm_job_utilization_gpu_memory"},
    "$gpu", scale=0.01,
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, graphs=GRAPHS, needed=NEEDED, provides=PROVIDES, job_gauges=ACTIVITIES)
