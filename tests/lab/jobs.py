"""Jobs of every kind, by the names that the tests use."""

from tests.lab.slurm import Slurm

WEIRD_NAME = 'quote " backslash \\ braces {a="b"}\nnewline \N{ROCKET}'
LONG_NAME = "n" * 255
LATIN1_NAME = b"caf\xe9"

# Jobs that run while the lab lives; the array and the heterogeneous job count as one.
RUNNING = (
    "plain",
    "multi_node",
    "gpu_busy",
    "gpu_idle",
    "gpu_quiet",
    "array",
    "het",
    "requeued",
    "memory_heavy",
    "cpu_waster",
    "silent",
    "weird_name",
    "long_name",
    "latin1_name",
)
PENDING = ("held", "dependent", "impossible")
ENDED = {"cancelled": "CANCELLED", "failed": "FAILED", "completed": "COMPLETED"}


def submit_all(slurm: Slurm, *, timed_out: bool = False) -> dict[str, int]:
    """
    Submit the jobs and wait until each has reached its state; return their ids by name.

    An array's id is that of the whole array, a heterogeneous job's that of its first component.
    With *timed_out* a job that reaches its time limit is added, which takes more than a minute.
    """
    jobs = _submit_running(slurm) | _submit_ended(slurm)
    jobs |= _submit_pending(slurm, running=jobs["plain"])
    if timed_out:
        jobs["timed_out"] = slurm.submit(["-J", "timed_out", "--time=1"])
    _wait_running(slurm, jobs)
    slurm.requeue(jobs["requeued"])
    slurm.scancel(str(jobs["cancelled"]))
    for name, state in ENDED.items():
        slurm.wait_state(jobs[name], state)
    if timed_out:
        slurm.wait_state(jobs["timed_out"], "TIMEOUT", timeout=150)
    return jobs


def _submit_running(slurm: Slurm) -> dict[str, int]:
    gpu = ["--partition=gpu"]
    return {
        "plain": slurm.submit(["-J", "plain", "-n4"], "alice"),
        "multi_node": slurm.submit(["-J", "multi_node", "-N2", "--ntasks-per-node=8"], "alice"),
        "gpu_busy": slurm.submit(["-J", "gpu_busy", *gpu, "-c8", "--gres=gpu:a100:2"], "bob"),
        "gpu_idle": slurm.submit(["-J", "gpu_idle", *gpu, "-c4", "--gres=gpu:a100:2"], "dave"),
        "gpu_quiet": slurm.submit(["-J", "gpu_quiet", *gpu, "-c2", "--gres=gpu:1"], "bob"),
        "array": slurm.submit(["-J", "array", "--array=0-5%3", "-c2"], "carol"),
        "het": slurm.submit_het([["-J", "het", "-n1"], ["-n2"]], "carol"),
        "requeued": slurm.submit(["-J", "requeued", "--requeue", "-n2"], "alice"),
        "memory_heavy": slurm.submit(["-J", "memory_heavy", "-c8", "--mem-per-cpu=8000M", "--qos=high"], "carol"),
        "cpu_waster": slurm.submit(["-J", "cpu_waster", "--account=def-kim", "-c16", "--mem=32000M"], "dave"),
        "silent": slurm.submit(["-J", "silent", "-n1"], "dave"),
        "weird_name": slurm.submit(["-J", WEIRD_NAME, "--partition=debug"], "alice"),
        "long_name": slurm.submit(["-J", LONG_NAME, "--partition=debug"], "alice"),
        "latin1_name": slurm.submit(["-J", LATIN1_NAME, "--account=def-kim-sub"], "alice"),
    }


def _submit_ended(slurm: Slurm) -> dict[str, int]:
    return {
        "cancelled": slurm.submit(["-J", "cancelled"], "bob"),
        "failed": slurm.submit(["-J", "failed"], "bob", command="exit 3"),
        "completed": slurm.submit(["-J", "completed"], "bob", command="true"),
    }


def _submit_pending(slurm: Slurm, running: int) -> dict[str, int]:
    return {
        "held": slurm.submit(["-J", "held", "--hold", "-n8"], "carol"),
        "dependent": slurm.submit(["-J", "dependent", f"--dependency=afterok:{running}"], "alice"),
        # The partition debug gives one node to a job.
        "impossible": slurm.submit(["-J", "impossible", "--partition=debug", "-N2"], "dave"),
    }


def _wait_running(slurm: Slurm, jobs: dict[str, int]) -> None:
    array = jobs["array"]
    # The array's own id belongs to its pending rest, the running tasks have theirs.
    for name in (*RUNNING, "cancelled"):
        if name != "array":
            slurm.wait_state(jobs[name], "RUNNING")
    slurm.wait_tasks(array, "RUNNING", count=3)
