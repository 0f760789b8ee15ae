"""The job page's summary and what is not in a graph of its own (C1, C2, C6, C7): averages, allocation, PCM, power."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.catalogue.entry import Entry

_JOB = "clusters/lab/jobs/$JOB"
_SERIES = f"{_JOB}/series"
_GIB = 2.0**30
_THREAD = {"node": "instance", "socket": "socket", "core": "core", "thread": "thread"}
_SLOPES = 'sum(deriv(slurm_job_process_usage_total{slurmjobid=~"$JOB", $F}[$window])) by (exe)'
_APPLICATIONS = f'label_replace({_SLOPES}, "exe", "$$1", "exe", ".*/(.*)")'
_OF_THE_JOB = "ours has the threads of the job alone, which the portal picks itself with JP2 and JP3"
_Values = Mapping[tuple[str, ...], float]


def _cores_by_node(data: Any) -> _Values:
    return {(node,): count for node, count in Counter(line["metric"]["node"] for line in data["result"]).items()}


def _threads_of_the_job(data: Any) -> _Values:
    return {(line["metric"]["node"], line["metric"]["cpu"]): 1.0 for line in data["result"]}


def _numbers_of_threads(data: Any) -> _Values:
    lines = [line["metric"] for line in data["result"]]
    return {tuple(line[label] for label in _THREAD): float(line["cpu"]) for line in lines}


ENTRIES = (
    Entry(
        id="JS2", portal='sum(rate(slurm_job_core_usage_total{slurmjobid="$JOB", $F}[$window]) / 1000000000)',
        path=_SERIES, metric="cpu", note="The portal's average is the `mean` of the lines, added up over nodes.",
    ),
    Entry(
        id="JS3", portal='count(slurm_job_core_usage_total{slurmjobid="$JOB", $F}) by (instance)',
        path=f"{_SERIES}?metric=cpu_cores&start=now-1m", metric="cpu_cores", labels={"node": "instance"},
        read=_cores_by_node, note="What was allocated is in `allocated_cpus` and `nodes` of the run, from slurmacct.",
    ),
    Entry(
        id="JS4", portal='sum(slurm_job_memory_max{slurmjobid="$JOB", $F})', path=_JOB, metric="memory_peak_bytes",
        read=lambda data: {(): data["runs"][-1]["memory_peak_bytes"]},
        note="Kept for ended runs too; beside it stand `allocated_memory_bytes` and `memory_efficiency_ratio`.",
    ),
    Entry(
        id="JS5", portal='sum(slurm_job_utilization_gpu{slurmjobid="$JOB", $F})',
        path=_SERIES, metric="gpu_utilization", factor=0.01,
        note="The run has the mean over all its time: `gpu_efficiency_ratio`.",
    ),
    Entry(
        id="JS6", portal='sum(slurm_job_memory_usage_gpu{slurmjobid="$JOB", $F}) / (1024*1024*1024)',
        path=_SERIES, metric="gpu_memory", factor=_GIB,
        note="The size of a GPU is the graph `gpu_memory_total`, not a table (41); divide by all GPUs of the job (42).",
    ),
    Entry(
        id="JS7", portal='sum(slurm_job_power_gpu{slurmjobid="$JOB", $F}) / 1000', path=_SERIES, metric="gpu_power",
        note="No tabulated idle and full power (41), and no idle power taken off once for several GPUs (42).",
    ),
    Entry(
        id="JS8", portal='sum(slurm_job_threads_count{slurmjobid=~"$JOB", state="running", $F})',
        path=_SERIES, metric="threads", only={"state": "running"},
    ),
    *(
        Entry(
            id=name, portal=_APPLICATIONS, path=_SERIES, metric="applications", labels={"application": "exe"},
            only={"application": "simulate"},
            note="By basename; negative slopes are no use (20); with the lines `_other` and `_unaccounted`.",
        )
        for name in ("JS9", "JC7")
    ),
    Entry(
        id="JC2", portal='count(slurm_job_core_usage_total{slurmjobid=~"$JOBS", $F})',
        path=_SERIES, metric="allocated_cpus", note="Ours is what slurmacct says, not a count of series (23).",
    ),
    Entry(
        id="JC4", portal='sum(slurm_job_memory_limit{slurmjobid=~"$JOBS", $F}) / 1073741824',
        path=_SERIES, metric="allocated_memory", factor=_GIB,
        note="Ours is what slurmacct says: a cgroup without a limit says 9.2e18 (23).",
    ),
    *(
        Entry(
            id="JP1", portal=f'rate(DRAM_{counter}{{instance=~"$INST", socket!="", $F}}[$window]) / 1024/1024/1024',
            path=_SERIES, metric="memory_bandwidth", labels={"node": "instance", "socket": "socket"},
            only={"direction": direction}, factor=_GIB,
        )
        for counter, direction in (("Reads", "read"), ("Writes", "write"))
    ),
    Entry(
        id="JP2", portal='OS_ID{instance=~"$INST", $F}', path=f"{_SERIES}?metric=l2_hit_ratio&start=now-1m",
        metric="label cpu", labels=_THREAD, read=_numbers_of_threads, picks=_OF_THE_JOB,
    ),
    Entry(
        id="JP3",
        portal='group by (instance, core) (rate(slurm_job_core_usage_total{slurmjobid=~"$JOB", $F}[$window]))',
        path=f"{_SERIES}?metric=l2_hit_ratio&start=now-1m", metric="label cpu",
        labels={"node": "instance", "cpu": "core"}, read=_threads_of_the_job,
    ),
    *(
        Entry(
            id="JP4",
            portal="{hits} / ({hits} + {misses}) * 100".format(
                hits=f'rate({level}_Cache_Hits{{instance=~"$INST", core=~"[0-9]+", $F}}[$window])',
                misses=f'rate({level}_Cache_Misses{{instance=~"$INST", core=~"[0-9]+", $F}}[$window])',
            ),
            path=_SERIES, metric=f"{level.lower()}_hit_ratio", labels=_THREAD, factor=0.01, picks=_OF_THE_JOB,
        )
        for level in ("L2", "L3")
    ),
    Entry(
        id="JP5",
        portal='rate(Instructions_Retired_Any{instance=~"$INST", core=~"[0-9]+", $F}[$window])'
        ' / rate(Clock_Unhalted_Ref{instance=~"$INST", core=~"[0-9]+", $F}[$window])',
        path=_SERIES, metric="instructions_per_cycle", labels=_THREAD, picks=_OF_THE_JOB,
    ),
    Entry(
        id="JP6",
        portal="("
        + " + ".join(f'rate(Incoming_Data_Traffic_On_Link_{n}{{instance=~"$INST", $F}}[$window])' for n in range(3))
        + ") / 1024/1024/1024",
        path=_SERIES, metric="socket_traffic", labels={"node": "instance", "socket": "socket"}, factor=_GIB,
        note="Ours adds the links that there are; the portal's needs exactly three (41).",
    ),
    Entry(
        id="JW1",
        portal='sum(redfish_chassis_power_average_consumed_watts{instance=~"($NODES)-oob", $F}) by (instance)'
        " × (count of the job's cores ÷ count of the node's CPUs)",
        path=_JOB, metric="allocation_energy_joules, node_watts, gpu_watts; graph power",
        differs="The share is of wall-clock windows with their gaps, by three models of which `allocation` is the"
        " portal's: one with the node's idle part and the jobs' use apart is shown by default (26, 27).",
    ),
    Entry(
        id="JW2",
        portal="(node power − Σ nvidia_gpu_power_usage_milliwatts) × (job GPUs ÷ node GPUs) + Σ slurm_job_power_gpu",
        path=_JOB, metric="allocation_energy_joules, node_watts, gpu_watts; graph power",
        differs="As JW1. GPUs are taken off the node's power within the same window, never below 0, and a BMC that"
        " says 0 is no measurement (27); any of four exporters of GPU power will do (7).",
    ),
)  # fmt: skip
