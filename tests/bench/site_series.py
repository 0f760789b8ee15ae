"""How the n-th running job of the real site looks to Prometheus, and by which numbers slurmacct has the same."""

from functools import partial

from tests.bench.series import Series

# The n-th job has one of so many users, accounts and starts; so many share a node in turn, and each tenth has a GPU.
USERS, ACCOUNTS, STARTS, JOBS_OF_A_NODE, GPU_EVERY = 400, 100, 20, 18, 10
CPUS = 4
NODE_CPUS, NODE_GPUS = JOBS_OF_A_NODE * CPUS, 2
_SHARES, _BYTES, _PERCENT = (0.1, 0.5, 0.95), (1e9, 4e9, 12e9), (0.0, 40.0, 90.0)
_MILLIWATTS, _THREADS, _NODE_WATTS = 250e3, 4.0, 400.0


def nodes_of(jobs: int) -> int:
    """Give how many nodes so many jobs fill."""
    return -(-jobs // JOBS_OF_A_NODE)


def add_series(series: Series, first: int, jobs: int, now: float) -> None:
    """Add what exporters show of so many jobs, the first of which has the id *first*, and of their nodes."""
    starts = [now - 3600.0 * (1 + number) for number in range(STARTS)]
    busy = [[series.curve(partial(_growing, start, share)) for share in _SHARES] for start in starts]
    memory = [series.curve(partial(_steady, size)) for size in _BYTES]
    percent = [series.curve(partial(_steady, value)) for value in _PERCENT]
    threads, watts, power, up = (
        series.curve(partial(_steady, value)) for value in (_THREADS, _MILLIWATTS, _NODE_WATTS, 1.0)
    )
    for n in range(jobs):
        job = _labels(n, first)
        for core in range(CPUS):
            series.add("slurm_job_core_usage_total", busy[n % STARTS][n % 3], core=str(core), **job)
        for kind in ("usage", "rss", "max"):
            series.add(f"slurm_job_memory_{kind}", memory[n % 3], **job)
        series.add("slurm_job_threads_count", threads, state="running", **job)
        if n % GPU_EVERY == 0:
            gpu = {**job, "gpu": str(n // GPU_EVERY % NODE_GPUS), "gpu_type": "NVIDIA A100-SXM4-40GB"}
            series.add("slurm_job_utilization_gpu", percent[n // GPU_EVERY % 3], **gpu)
            series.add("slurm_job_memory_usage_gpu", memory[n % 3], **gpu)
            series.add("slurm_job_power_gpu", watts, **gpu)
    for node in map(_node, range(nodes_of(jobs))):
        series.add("up", up, instance=f"{node}:9798", job="slurm_job")
        series.add("redfish_chassis_power_average_consumed_watts", power, instance=f"{node}-oob", job="redfish")


def _labels(n: int, first: int) -> dict[str, str]:
    return {
        "instance": f"{_node(n // JOBS_OF_A_NODE)}:9798", "job": "slurm_job", "slurmjobid": str(first + n),
        "user": f"user{n % USERS}", "account": f"acct{n % USERS % ACCOUNTS}",
    }  # fmt: skip


def _node(number: int) -> str:
    return f"nc{number:05d}"


def _growing(start: float, share: float, at: float) -> float:
    """Give the nanoseconds of a core that has been busy for a share of the time since a start."""
    return 1e9 * share * (at - start)


def _steady(value: float, at: float) -> float:
    return value
