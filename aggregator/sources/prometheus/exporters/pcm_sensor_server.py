"""Graphs from Intel's pcm-sensor-server: memory traffic, caches, instructions and links of the job's nodes.

Its page has no types, and three levels of the same counters: threads, sockets, the system. Threads alone have a label
core, whose meaning has changed between releases: a thread is found by OS_ID, whose value is the CPU's number for the
operating system, which is the label core of slurm-job-exporter. A job's threads are found in the same expression.
The number of a link is in the metric's name, and how many there are depends on the processor.
"""

from aggregator.sources.prometheus.exporter import Exporter, Needed, needed
from aggregator.sources.prometheus.expression import JOB, NODE, Graph, Metric
from aggregator.sources.prometheus.promql import extracted, labelled, slopes

_OF_JOB = {"job": NODE}
_MOST_BYTES_PER_SECOND = 1e13
# One more than any processor has.
_LINKS = range(6)
_SOCKETS = (("socket", "!=", ""),)
_THREADS = (("socket", "!=", ""), ("core", "!=", ""), ("thread", "!=", ""), ("source", "=", "core"))
_THREAD = "($node, $socket, $core, $thread)"
_OF_THE_JOB = {
    "os_id": Metric("OS_ID", (("socket", "!=", ""), ("core", "!=", ""), ("thread", "!=", ""))),
    "job_cores": Metric("slurm_job_core_usage_total", by=JOB, exporter="slurm_job_exporter"),
}


def _with_host(vector: str) -> str:
    """Name the node of each series: what is scraped by address has no name, and is itself; two must not be one."""
    return extracted(extracted(vector, "host", "$node", '"(.*?)(:[0-9]+)?"'), "host", "$node", "$nodes")


# 1 for each thread of the job, with its number for the operating system as a label.
_THREADS_OF_THE_JOB = (
    _with_host(f'count_values by {_THREAD} ("cpu", max by {_THREAD} ($os_id))')
    + " and on (host, cpu) "
    + _with_host(extracted("group by ($node, $core) ($job_cores)", "cpu", "$core", '"(.*)"'))
)


def _of_threads(name: str, help_text: str, over: str, under: tuple[str, ...], high: float) -> Graph:
    """Give the ratio of two rates of the job's threads; where nothing is counted there is no ratio.

    Both are divided by the same window: one that was not observed as a whole does not change their ratio.
    """
    counters = {
        f"counter{index}": Metric(metric, _THREADS) for index, metric in enumerate(dict.fromkeys((over, *under)))
    }
    rates = {metric.name: f"max by {_THREAD} (rate(${key}[$span]))" for key, metric in counters.items()}
    ratio = f"{rates[over]} / ({' + '.join(rates[metric] for metric in under)} > 0)"
    return Graph(
        name=name, help=help_text, unit="ratio", by=_OF_JOB, metrics={**counters, **_OF_THE_JOB}, high=high,
        text=f"({ratio}) * on {_THREAD} group_left (cpu) ({_THREADS_OF_THE_JOB})",
    )  # fmt: skip


def _traffic(key: str, label: str, value: str) -> str:
    return labelled(slopes(key, "$node, $socket", "$node"), label, value)


GRAPHS = (
    Graph(
        name="memory_bandwidth", help="Memory traffic of each socket, whoever causes it.", unit="bytes per second",
        by=_OF_JOB, high=_MOST_BYTES_PER_SECOND,
        metrics={"reads": Metric("DRAM_Reads", _SOCKETS), "writes": Metric("DRAM_Writes", _SOCKETS)},
        text=f"{_traffic('reads', 'direction', 'read')} or {_traffic('writes', 'direction', 'write')}",
    ),
    _of_threads(
        "l2_hit_ratio", "Share of the job's accesses to the L2 cache that hit, by thread.",
        "L2_Cache_Hits", ("L2_Cache_Hits", "L2_Cache_Misses"), 1.0,
    ),
    _of_threads(
        "l3_hit_ratio", "Share of the job's accesses to the L3 cache that hit, by thread.",
        "L3_Cache_Hits", ("L3_Cache_Hits", "L3_Cache_Misses"), 1.0,
    ),
    _of_threads(
        "instructions_per_cycle", "Instructions of the job for each reference cycle, by thread.",
        "Instructions_Retired_Any", ("Clock_Unhalted_Ref",), 64.0,
    ),
    Graph(
        name="socket_traffic", help="Traffic that each socket receives over all links, whoever causes it.",
        unit="bytes per second", by=_OF_JOB, high=_MOST_BYTES_PER_SECOND,
        metrics={f"link{number}": Metric(f"Incoming_Data_Traffic_On_Link_{number}", _SOCKETS) for number in _LINKS},
        text="sum by ($node, $socket) ("
        + " or ".join(_traffic(f"link{number}", "link", str(number)) for number in _LINKS)
        + ")",
    ),
)  # fmt: skip

# What is not known without which series.
NEEDED = (
    Needed("the memory bandwidth of sockets", ("DRAM_Reads", "DRAM_Writes")),
    needed("OS_ID", "which threads are those of a job: cache hits and instructions", always=False),
)  # fmt: skip

EXPORTER = Exporter(graphs=GRAPHS, needed=NEEDED)
