"""How many CPUs this process may use: those that it is bound to, and no more than its container's limit."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_POLARS = "POLARS_MAX_THREADS"


def usable_cpus(root: Path = _ROOT) -> int:
    """Give the number of CPUs, at least 1; a limit of 1.5 CPUs counts as 2.

    With more threads than these the kernel stops the whole process for the rest of a period (cgroups, CPU bandwidth).
    """
    bound = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min([bound, *_limits(root)])))


def limit_polars() -> None:
    """Let Polars start as many threads as there are CPUs to use; it reads this once, when it is imported.

    What the administrator has set stays.
    """
    os.environ.setdefault(_POLARS, str(usable_cpus()))


def _limits(root: Path) -> Iterator[float]:
    """Give the limits in CPUs of the process's control groups and of those above them, version 2 and version 1."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _of_groups(root / "sys/fs/cgroup", path, ("cpu.max",))
        elif "cpu" in controllers.split(","):
            for folder in {controllers, "cpu"}:
                yield from _of_groups(root / "sys/fs/cgroup" / folder, path, ("cpu.cfs_quota_us", "cpu.cfs_period_us"))


def _of_groups(top: Path, path: str, files: tuple[str, ...]) -> Iterator[float]:
    inside = PurePosixPath(path.lstrip("/"))
    # In a container without a name space of its own, the path is the host's: only the top is there.
    for group in (inside, *inside.parents):
        # "max 100000" of version 2 and "-1" of version 1 are no limit.
        with suppress(OSError, ValueError):
            quota, period = map(float, " ".join((top / group / file).read_text("utf-8") for file in files).split())
            if quota > 0 and period > 0:
                yield quota / period
