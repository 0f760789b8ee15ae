"""Inputs from node_exporter: the size of a node, its busy CPUs, and the power of its processors (RAPL)."""

from aggregator.sources.prometheus.inputs import Input

# intel-rapl-mmio repeats the package's energy under another path; core and uncore are parts of it, and not read.
_RAPL = "sum by ($node) (max by ($node, index, path) (rate($zones[$window])))"

PACKAGE_WATTS = Input(
    name="package_watts",
    metric="node_rapl_package_joules_total",
    expression=_RAPL,
    selectors={"zones": ("path", "!~", ".*mmio.*")},
    high=1e5,
)
DRAM_WATTS = Input(
    name="dram_watts",
    metric="node_rapl_dram_joules_total",
    expression=_RAPL,
    selectors={"zones": ("path", "!~", ".*mmio.*")},
    high=1e5,
)
CPUS = Input(
    name="cpus",
    metric="node_cpu_seconds_total",
    expression="count by ($node) (count by ($node, cpu) ($idle))",
    selectors={"idle": ("mode", "=", "idle")},
    low=1.0,
    high=1e5,
)
RESTING_CPUS = Input(
    name="cpus",
    metric="node_cpu_seconds_total",
    expression="sum by ($node) (max by ($node, cpu, mode) (rate($rest[$window])))",
    selectors={"rest": ("mode", "=~", "idle|iowait")},
    high=1e5,
)
MEMORY_BYTES = Input(
    name="memory_total_bytes",
    metric="node_memory_MemTotal_bytes",
    expression="max by ($node) ($series)",
    low=1.0,
    high=1e15,
)
