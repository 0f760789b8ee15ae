"""Two programs of one name and one port (9306): of plazonic (jobstats) and of treydock, on cgroup v1 and v2.

Read in the sources of github.com/plazonic/cgroup_exporter (78f93c4) and github.com/treydock/cgroup_exporter (v1.2.1,
f01693c). From Slurm 26.05 on, a job's folder of cgroup v2 is called by its SLUID alone, unless cgroup.conf has
CgroupJobIdPaths=yes: plazonic's (0.3.1 and newer) has it in `jobid`; treydock's reads `/job_([0-9]+)$` and has no
cgroup_info then, so that only the path names the job.
treydock finds cgroups by their processes, plazonic by their folders: a job without processes is in the latter only.
Not shown here: pressures (treydock after 1.2.1), user.slice, Torque and PBS.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from tests.lab.exporters.activity import Activity
from tests.lab.exporters.text import Family, Sample, go_page
from tests.lab.slurm_config import CPUS_PER_NODE

# What is not limited has the largest number of pages on v1; on v2 containerd says the largest 64-bit number.
_NO_LIMIT_V1, _NO_LIMIT_V2 = 9223372036854771712.0, 18446744073709551615.0
_EXECUTABLE = "/opt/sw/bin/simulate"
# One step does all that a job does, in one task.
_STEPS = (("batch", ""), ("batch", "0"))
_HELP = {
    "cpu_system_seconds": "{summed} CPU system seconds for {of}",
    "cpu_total_seconds": "{summed} CPU total seconds for {of}",
    "cpu_user_seconds": "{summed} CPU user seconds for {of}",
    "cpus": "Number of CPUs in the {of}",
    "memory_cache_bytes": "Memory cache used in bytes",
    "memory_fail_count": "Memory fail count",
    "memory_rss_bytes": "Memory RSS used in bytes",
    "memory_shmem_bytes": "Memory cache used in bytes",
    "memory_total_bytes": "Memory total given to {of} in bytes",
    "memory_used_bytes": "Memory used in bytes",
    "memsw_fail_count": "Swap fail count",
    "memsw_total_bytes": "Swap total given to {of} in bytes",
    "memsw_used_bytes": "Swap used in bytes",
}
_BUILD = (
    "A metric with a constant '1' value labeled by version, revision, branch, goversion from which cgroup_exporter was"
    " built, and the goos and goarch for the build."
)


@dataclass(frozen=True)
class Cgroups:
    """Which version of cgroups a node has, and whether Slurm limits memory and binds jobs to cores there."""

    version: int = 2
    memory: bool = True
    cores: bool = True


def plazonic(
    jobs: Sequence[Activity], cgroups: Cgroups, *, usernames: bool = False, full: bool = False,
    failed: Set[int] = frozenset(),
) -> str:  # fmt: skip
    """Write plazonic's page: *full* is `--collect.fullslurm`, *failed* are the jobs whose cgroups it could not read.

    Such a job is left out; its uid is -1 on v2 without *usernames* (`--collect.username`).
    """
    read = [job for job in jobs if job.key not in failed]
    rows = [
        ({"jobid": _named(job, cgroups), "step": step, "task": task}, _plazonic_values(job, cgroups))
        for job in read
        for step, task in [("", ""), *(_STEPS if full else ())]
    ]
    families = _families(rows, "Cumulative", "jobid")
    uids = [({"jobid": _named(job, cgroups)}, job.uid if usernames or cgroups.version == 1 else -1) for job in read]
    families.append(Family("cgroup_uid", "gauge", "Uid number of user running this job", uids))
    infos: list[Sample] = [
        ({"jobid": _named(job, cgroups), "uid": str(job.uid), "username": job.user}, 1) for job in read
    ]
    families.append(Family("cgroup_info", "gauge", "Information about the job", infos if usernames else ()))
    return go_page([*families, _errors(_path(job, cgroups) for job in jobs if job.key in failed)])


def treydock(
    jobs: Sequence[Activity], cgroups: Cgroups, *, release: tuple[int, int, int] = (1, 2, 1), processes: bool = False,
    failed: Set[int] = frozenset(),
) -> str:  # fmt: skip
    """Write treydock's page: *processes* is `--collect.proc`, *failed* are the jobs whose cgroups it could not read.

    CPU time is a gauge before 1.2.1. On v2 resident memory has the page cache in it, from 1.0.1 on. A failed cgroup is
    shown with zeros, and without cgroup_info.
    """
    paths = {_path(job, cgroups): job for job in jobs if job.behaviour.processes}
    read = {path: job for path, job in paths.items() if job.key not in failed}
    rows = [
        ({"cgroup": path}, _treydock_values(job, cgroups, release, zero=path not in read))
        for path, job in paths.items()
    ]
    families = _families(rows, "Cumalitive", "cgroup", "counter" if release >= (1, 2, 1) else "gauge")
    families += _treydock_info(paths, read, cgroups, processes=processes)
    return go_page([*families, _errors(path for path in paths if path not in read)])


def _families(
    rows: Sequence[tuple[dict[str, str], dict[str, float]]], summed: str, of: str, seconds: str = "gauge"
) -> list[Family]:
    """Make families of what each cgroup has; *seconds* is the type of CPU time."""
    return [
        Family(
            f"cgroup_{name}",
            seconds if name.endswith("_seconds") else "gauge",
            _HELP[name].format(summed=summed, of=of),
            [(labels, values[name]) for labels, values in rows],
        )
        for name in (rows[0][1] if rows else ())
    ]


def _treydock_info(
    paths: dict[str, Activity], read: dict[str, Activity], cgroups: Cgroups, *, processes: bool
) -> Iterator[Family]:
    """Yield what it says in labels: the job of a cgroup by its number only."""
    cpus: list[Sample] = [
        ({"cgroup": path, "cpus": ",".join(map(str, job.share.cpus)) if path in read and cgroups.cores else ""}, 1)
        for path, job in paths.items()
    ]
    yield Family("cgroup_cpu_info", "gauge", "Information about the cgroup CPUs", cpus)
    infos: list[Sample] = [
        ({"cgroup": path, "jobid": str(job.key), "uid": str(job.uid), "username": job.user}, 1)
        for path, job in read.items()
        if _named(job, cgroups) == str(job.key)
    ]
    yield Family("cgroup_info", "gauge", "User slice information", infos)
    running: list[Sample] = [({"cgroup": path, "exec": _EXECUTABLE}, job.cpus) for path, job in read.items()]
    help = "Count of instances of a given process"
    yield Family("cgroup_process_exec_count", "gauge", help, running if processes else ())
    labels = {"branch": "", "goarch": "amd64", "goos": "linux", "goversion": "go1.27.3", "revision": "unknown",
              "tags": "unknown", "version": ""}  # fmt: skip
    yield Family("cgroup_exporter_build_info", "gauge", _BUILD, [(labels, 1)])


def _plazonic_values(job: Activity, cgroups: Cgroups) -> dict[str, float]:
    v1 = cgroups.version == 1
    limit = job.share.memory_bytes if cgroups.memory else _NO_LIMIT_V1 if v1 else -1.0
    # Without a set of its own, a cgroup of v2 has in effect all CPUs of the node.
    cpus = job.cpus if cgroups.cores else 0 if v1 else CPUS_PER_NODE
    return {
        **_both(job), "cpus": cpus, "memory_rss_bytes": job.rss, "memory_shmem_bytes": 0.0, "memory_total_bytes": limit,
        "memsw_fail_count": 0.0, "memsw_total_bytes": limit if v1 else 0.0,
        "memsw_used_bytes": job.rss + job.cache if v1 else 0.0,
    }  # fmt: skip


def _treydock_values(
    job: Activity, cgroups: Cgroups, release: tuple[int, int, int], *, zero: bool
) -> dict[str, float]:  # fmt: skip
    v1 = cgroups.version == 1
    limit = job.share.memory_bytes if cgroups.memory else _NO_LIMIT_V1 if v1 else _NO_LIMIT_V2
    values = {
        **_both(job), "cpus": job.cpus if cgroups.cores else 0,
        "memory_rss_bytes": job.rss + (job.cache if not v1 and release >= (1, 0, 1) else 0),
        "memory_total_bytes": limit, "memsw_total_bytes": limit if v1 else _NO_LIMIT_V2,
        "memsw_used_bytes": job.rss + job.cache if v1 else 0.0, **({"memsw_fail_count": 0.0} if v1 else {}),
    }  # fmt: skip
    return dict.fromkeys(values, 0.0) if zero else values


def _both(job: Activity) -> dict[str, float]:
    """Give what both show alike."""
    user, system = job.cpu_seconds_by_mode
    return {
        "cpu_total_seconds": job.cpu_seconds, "cpu_user_seconds": user, "cpu_system_seconds": system,
        "memory_cache_bytes": job.cache, "memory_fail_count": 0.0, "memory_used_bytes": job.rss + job.cache,
    }  # fmt: skip


def _named(job: Activity, cgroups: Cgroups) -> str:
    return job.named if cgroups.version == 2 else str(job.key)


def _path(job: Activity, cgroups: Cgroups) -> str:
    if cgroups.version == 1:
        return f"/slurm/uid_{job.uid}/job_{job.key}"
    return f"/system.slice/slurmstepd.scope/{job.sluid or f'job_{job.key}'}"


def _errors(paths: Iterator[str]) -> Family:
    help = "Indicates collection error, 0=no error, 1=error"
    return Family("cgroup_exporter_collect_error", "gauge", help, [({"cgroup": path}, 1) for path in paths])
