"""What each exporter of jobs shows of the same job on a node: its own names, labels and units, and its traps."""

from collections.abc import Callable
from typing import Any

from aggregator.sources.job_numbers import write_sluid
from tests.scenarios.samples import Samples, Value

UNLIMITED = {"plazonic": 9.2e18, "treydock": 1.8446744073709552e19}


def slurm_job(samples: Samples, job_id: int, node: str, *, busy: float, memory: Value, **more: Any) -> None:
    """Add what slurm-job-exporter shows: nanoseconds of each of four cores."""
    samples.job(job_id, node, busy=busy, memory=memory, **more)


def plazonic(
    samples: Samples, job_id: int, node: str, *, busy: float, memory: Value, sluid: int = 0, **more: Any
) -> None:
    """Add what plazonic's cgroup_exporter shows of the job, and of its step, which has less.

    With a *sluid* the job's cgroup is called by it.
    """
    for labels, share in (({"step": "", "task": ""}, 1.0), ({"step": "0", "task": ""}, 0.5)):
        own = {"instance": f"{node}:9306", "job": "cgroup", "jobid": str(job_id), **labels}
        if sluid:
            # The node was upgraded in mid-run.
            _cgroup(samples, own, busy * share, memory, "plazonic", {"until": -560.0, "ended": True})
            own |= {"jobid": write_sluid(sluid)}
        _cgroup(samples, own, busy * share, memory, "plazonic", more)


def treydock(
    samples: Samples, job_id: int, node: str, *, busy: float, memory: Value, sluid: int = 0, **more: Any
) -> None:
    """Add what treydock's cgroup_exporter shows of the job's cgroup, and whose it is, unless that has a *sluid*."""
    own = {"instance": f"{node}:9306", "job": "cgroup", "cgroup": f"/system.slice/slurmstepd.scope/job_{job_id}"}
    if sluid:
        own["cgroup"] = f"/system.slice/slurmstepd.scope/{write_sluid(sluid)}"
    _cgroup(samples, own, busy, memory, "treydock", more)
    if sluid:
        return
    # The user is that of the first process that is not sleeping.
    for uid, since, until in (("0", None, -300.0), ("20821", -300.0, more.get("until", 240.0))):
        begin = more.get("since") if since is None else since
        samples.add(
            "cgroup_info", 1.0, jobid=str(job_id), uid=uid, username="", since=begin, until=until, ended=True, **own
        )
    user = {"instance": f"{node}:9306", "job": "cgroup", "cgroup": "/user.slice/user-20821.slice"}
    samples.add("cgroup_info", 1.0, jobid="", uid="20821", username="ann", **user)
    _cgroup(samples, user, 2.0, memory, "treydock", {})


def _cgroup(
    samples: Samples, labels: dict[str, str], busy: float, memory: Value, flavour: str, more: dict[str, Any]
) -> None:
    begin = more.get("since") or samples.begin
    samples.add("cgroup_cpu_total_seconds", lambda at: 4 * busy * (at - begin), **more, **labels)
    samples.add("cgroup_memory_rss_bytes", memory, **more, **labels)
    samples.add("cgroup_memory_total_bytes", UNLIMITED[flavour], **more, **labels)


def ceems(samples: Samples, job_id: int, node: str, *, busy: float, memory: Value, **more: Any) -> None:
    """Add what CEEMS' exporter shows, and what it shows of a virtual machine whose id is alike."""
    begin = more.get("since") or samples.begin
    for manager, each in (("slurm", busy), ("libvirt", 2.0)):
        own = {
            "instance": f"{node}:9010",
            "job": "ceems",
            "manager": manager,
            "uuid": str(job_id),
            "cgrouphostname": "",
        }
        for mode, share in (("user", 0.75), ("system", 0.25)):
            samples.add(
                f"ceems_compute_unit_cpu_{mode}_seconds_total",
                lambda at, rate=4 * each * share: rate * (at - begin), **more, **own,
            )  # fmt: skip
        samples.add("ceems_compute_unit_memory_rss_bytes", memory, **more, **own)
        samples.add("ceems_compute_unit_memory_total_bytes", 1e11, **more, **own)


Show = Callable[..., None]
# By the name of a set, what shows a job, and the port that its exporter listens on.
SETS: dict[str, tuple[Show, int]] = {
    "slurm_job": (slurm_job, 9798), "plazonic": (plazonic, 9306), "treydock": (treydock, 9306),
    "ceems": (ceems, 9010),
}  # fmt: skip


def show(
    samples: Samples, name: str, job_id: int, node: str, *, busy: float = 0.5, memory: Value = 1e9, **more: Any
) -> None:
    """Add a set's series of a job on a node, and that its exporter is up."""
    shows, port = SETS[name]
    shows(samples, job_id, node, busy=busy, memory=memory, **more)
    samples.exporter(node, job={9798: "slurm_job", 9306: "cgroup"}.get(port, name), port=port)


def dcgm(samples: Samples, job_id: int, node: str, **labels: str) -> None:
    """Add a GPU of dcgm-exporter that works 60 % of the time; a slice has its board's UUID, and no GPU_UTIL."""
    board = {"instance": f"{node}:9400", "job": "dcgm", "gpu": "0", "device": "nvidia0", "modelName": "A100"}
    own = {**board, "UUID": f"GPU-{node}", "hpc_job": str(job_id), **labels}
    if "GPU_I_ID" in labels:
        samples.add("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.6, **own)
    else:
        samples.add("DCGM_FI_DEV_GPU_UTIL", 60.0, **own)
    samples.add("DCGM_FI_DEV_FB_USED", 1024.0, **own)
    samples.add("DCGM_FI_DEV_GPU_UTIL", 90.0, **{**board, "gpu": "1", "UUID": f"GPU-{node}-1"})


def nvidia(samples: Samples, job_id: int, node: str, *, names_job: bool, slice_id: str = "") -> None:
    """Add a GPU of nvidia_gpu_exporter; from v0.2.2 on its series name the job, which had another one before."""
    own = {"instance": f"{node}:9445", "job": "nvidia", "ordinal": "0", "minor_number": "0"}
    own |= {"uuid": f"MIG-{node}" if slice_id else f"GPU-{node}"}
    if names_job:
        own |= {"GPU_I_ID": slice_id, "jobid": str(job_id), "userid": "1000"}
        samples.add("nvidia_gpu_duty_cycle", 5.0, until=-580.0, ended=True, **{**own, "jobid": "499"})
    samples.add("nvidia_gpu_jobId", float(job_id), **own)
    samples.add("nvidia_gpu_memory_used_bytes", 2.0**30, **own)
    # A ratio, in spite of its name.
    busy = ("nvidia_gpu_graphics_util_percent", 0.6) if slice_id else ("nvidia_gpu_duty_cycle", 60.0)
    samples.add(*busy, **own)


def dcgm_slice(samples: Samples, job_id: int, node: str) -> None:
    """Add a MIG slice of dcgm-exporter with the old spelling of its label."""
    dcgm(samples, job_id, node, GPU_I_ID="3", UUID="", uuid=f"GPU-{node}")


def ceems_dcgm(samples: Samples, job_id: int, node: str) -> None:
    """Add a GPU of a job as CEEMS' exporter names it, and as dcgm-exporter measures it, which names nobody."""
    dcgm(samples, job_id, node, hpc_job="")
    own = {
        "instance": f"{node}:9010",
        "job": "ceems",
        "manager": "slurm",
        "uuid": str(job_id),
        "gpuiid": "",
        "index": "0",
    }
    samples.add("ceems_compute_unit_gpu_index_flag", 1.0, gpuuuid=f"GPU-{node}", hindex=f"{node}/gpu-0", **own)


def device_metrics(samples: Samples, job_id: int, node: str) -> None:
    """Add a GPU of AMD's device-metrics-exporter, and one that nobody has."""
    for index, job, busy in (("0", str(job_id), 60.0), ("1", "", 90.0)):
        own = {"instance": f"{node}:5000", "job": "amd", "gpu_id": index, "serial_number": f"{node}-{index}",
               "gpu_compute_partition_type": "spx", "hostname": node, "job_id": job}  # fmt: skip
        samples.add("gpu_gfx_activity", busy, **own)
        samples.add("gpu_used_vram", 1024.0, **own)


GPU_SETS: dict[str, Callable[[Samples, int, str], None]] = {
    "slurm_job": lambda samples, job_id, node: samples.gpu(job_id, node=node, busy=0.6, memory=2.0**30),
    "dcgm": dcgm,
    "dcgm, a slice": dcgm_slice,
    "ceems with dcgm": ceems_dcgm,
    "device-metrics": device_metrics,
    "nvidia v0.2.0": lambda samples, job_id, node: nvidia(samples, job_id, node, names_job=False),
    "nvidia v0.2.2": lambda samples, job_id, node: nvidia(samples, job_id, node, names_job=True),
    "nvidia, a slice": lambda samples, job_id, node: nvidia(samples, job_id, node, names_job=True, slice_id="3"),
}
