"""One job: what is said of it, what it holds and uses, what it costs."""

from typing import Final

from boards.frame import CLUSTER, Board, Choice, Row
from boards.promql import now, total, with_words
from boards.style import ACCENT, ALLOCATED, CAPACITY, WASTED, Column, Line, Rows, facts, graph, listed, single

_OF: Final = ('cluster="$cluster"', 'slurmjobid="$job"')


def _one(family: str, *matchers: str) -> str:
    return f"max({now(f'job_{family}', *_OF, *matchers)})"


_SHOWN: Final = (
    "cluster",
    "slurmjobid",
    "user",
    "account",
    "state",
    "partition",
    "qos",
    "job_name",
    "array_job_id",
    "array_task_id",
    "het_job_id",
    "het_job_offset",
    "gpu_type",
)
_ABOUT: Final = Row(
    "The job",
    [
        facts(
            "What Slurm says of it",
            "As long as it runs, and ten minutes longer.",
            f"max by ({', '.join(_SHOWN)}) ({now('job_info', *_OF)})",
            _SHOWN,
        ),
        facts(
            "What is wrong with it",
            "Rules of waste that hold now. No row: no rule holds, or the job is not judged; its page says which.",
            with_words(f"max by (reason, severity) ({now('job_waste', *_OF)})", 'cluster="$cluster"'),
            ("reason", "severity", "message", "fix"),
        ),
    ],
)

_RUN: Final = Row(
    "Over the run so far",
    [
        single(
            "CPU efficiency",
            "CPU time used ÷ held. Not known if less than half of the run was seen.",
            _one("cpu_efficiency_ratio"),
            "percentunit",
        ),
        single(
            "Memory efficiency",
            "Peak ÷ held. Not known where Slurm does not manage memory.",
            _one("memory_efficiency_ratio"),
            "percentunit",
        ),
        single(
            "GPU efficiency",
            "Mean utilisation while it was observed. Not known: no GPUs, or none observed.",
            _one("gpu_efficiency_ratio"),
            "percentunit",
        ),
        single(
            "GPUs idle for",
            "How long none of its GPUs has been busy, as observed.",
            _one("gpu_idle_seconds"),
            "s",
            limits=(3600, 7200),
        ),
        single("Part of the time limit", "Not known without a limit.", _one("time_limit_used_ratio"), "percentunit"),
        single(
            "Energy",
            "By the configured model, as far as it was measured.",
            f"{_one('energy_joules_total')} / 3.6e6",
            "kwatth",
        ),
        single(
            "CPU-hours wasted",
            "CPU time held and not used until the newest sample.",
            f"{_one('wasted_cpu_seconds')} / 3600",
        ),
        single(
            "GPU-hours wasted",
            "GPU time held and not utilised, as far as it was observed.",
            f"{_one('wasted_gpu_seconds')} / 3600",
        ),
        single("CO2 equivalent in grams", "Of the run's energy.", _one("co2_grams_total")),
        single(
            "Cost by currency",
            "Energy, cooling and hardware, by the configured prices; none without prices.",
            f"sum by (currency) ({now('job_cost_total', *_OF)})",
            name="{{currency}}",
            span=12,
        ),
    ],
)

_USE: Final = Row(
    "What it holds and uses",
    [
        graph(
            "CPUs",
            "Used: busy now. No line: not known.",
            Line("allocated", _one("allocated_cpus"), ALLOCATED),
            Line("used", _one("used_cpus"), ACCENT),
            Line("wasted", _one("wasted_cpus"), WASTED),
        ),
        graph(
            "Memory",
            "Used: without page cache; the peak is with it. No line: not known.",
            Line("allocated", _one("allocated_memory_bytes"), ALLOCATED),
            Line("used", _one("memory_used_bytes"), ACCENT),
            Line("peak", _one("memory_peak_bytes"), CAPACITY, dashed=True),
            unit="bytes",
        ),
        graph(
            "GPUs",
            "Observed: have a series. 0 observed is a GPU that no process has opened, where that would be seen.",
            Line("allocated", f"sum({now('job_allocated_gpus', *_OF)})", ALLOCATED),
            Line("observed", _one("gpus_observed"), CAPACITY, dashed=True),
            Line("busy", _one("gpus_busy"), ACCENT),
            Line("wasted", _one("wasted_gpus"), WASTED),
        ),
        graph(
            "GPU utilisation",
            "Mean of the allocated GPUs.",
            Line("utilisation", _one("gpu_utilization_ratio"), ACCENT),
            unit="percentunit",
        ),
        graph(
            "GPU memory", "In use on the job's GPUs.", Line("used", _one("gpu_memory_used_bytes"), ACCENT), unit="bytes"
        ),
        graph(
            "Running threads",
            "More than the allocated CPUs: threads wait for each other.",
            Line("threads", _one("running_threads"), ACCENT),
            Line("CPUs allocated", _one("allocated_cpus"), ALLOCATED),
        ),
        graph(
            "Power",
            "The job's part of its nodes, and its own GPUs, as far as it was measured.",
            Line("{{component}}", total(now("job_power_watts", *_OF), "component")),
            unit="watt",
        ),
        graph(
            "Coverage",
            "The part that was seen, by input. Below 80 % nothing is called wasted.",
            Line("{{input}}", f"max by (input) ({now('job_coverage_ratio', *_OF)})"),
            unit="percentunit",
        ),
    ],
)

_RATES: Final = ("read_bytes_per_second", "write_bytes_per_second", "metadata_operations_per_second")
_LUSTRE: Final = Row(
    "Input and output on Lustre",
    [
        listed(
            "Now",
            "No row: not measured, or nothing was read or written.",
            Rows(
                ("filesystem",),
                [
                    Column(name, total(now(f"job_lustre_{family}", *_OF), "filesystem"), unit)
                    for name, family, unit in zip(
                        ("Read", "Written", "Metadata operations per second"),
                        _RATES,
                        ("binBps", "binBps", "short"),
                        strict=True,
                    )
                ],
            ),
            height=5,
        ),
        graph(
            "Read and written",
            "By file system.",
            Line("{{filesystem}} read", total(now(f"job_lustre_{_RATES[0]}", *_OF), "filesystem")),
            Line("{{filesystem}} written", total(now(f"job_lustre_{_RATES[1]}", *_OF), "filesystem"), dashed=True),
            unit="binBps",
        ),
        graph(
            "Metadata operations per second",
            "Opening, closing, listing, deleting … of files.",
            Line("{{filesystem}}", total(now(f"job_lustre_{_RATES[2]}", *_OF), "filesystem")),
        ),
    ],
)

BOARD: Final = Board(
    "job",
    "HPC: a job",
    "What is said of a job, what it holds and uses, and what it costs.",
    [
        CLUSTER,
        Choice("user", 'hpc_user_jobs{cluster="$cluster"}', several=True),
        Choice("job", 'hpc_job_info{cluster="$cluster",user=~"$user"}', label="slurmjobid"),
    ],
    [_ABOUT, _RUN, _USE, _LUSTRE],
)
