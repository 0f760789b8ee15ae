"""The Debian packages that the lab needs, and how missing ones are installed."""

import os
import shutil
import subprocess
from collections.abc import Iterable

# Daemons live in sbin, which is not on an ordinary user's PATH.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

DATABASE = ("mariadb-server",)
SLURM = ("munge", "slurmdbd", "slurmctld", "slurmd", "slurm-client")
PROMETHEUS = ("prometheus",)
ALERTMANAGER = ("prometheus-alertmanager",)

# The program whose presence proves that a package is installed.
_PROGRAMS = {
    "mariadb-server": "mariadbd",
    "munge": "munged",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "slurm-client": "sbatch",
    "systemd": "systemd-analyze",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
}


class MissingPackagesError(RuntimeError):
    """Packages are missing and cannot be installed."""


def program(name: str) -> str:
    """Return the full path of the program *name*."""
    found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        raise MissingPackagesError(f"the program {name} is not installed")
    return found


def promtool() -> str:
    """Return the full path of promtool, installed when it is missing."""
    ensure_packages(PROMETHEUS)
    return program("promtool")


def ensure_packages(needed: Iterable[str]) -> None:
    """Install those of *needed* (Debian package names) that are missing."""
    missing = [package for package in needed if not _installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise MissingPackagesError(
            f"the lab needs these Debian packages, and only root can install them: {' '.join(missing)}"
        )
    if shutil.which("apt-get", path=SEARCH_PATH) is None:
        raise MissingPackagesError(f"the lab needs these Debian packages, and apt-get is absent: {' '.join(missing)}")
    _apt_get("update", "-q")
    _apt_get("install", "-q", "-y", "--no-install-recommends", *missing)


def _installed(package: str) -> bool:
    return shutil.which(_PROGRAMS.get(package, package), path=SEARCH_PATH) is not None


def _apt_get(*args: str) -> None:
    environment = {**os.environ, "PATH": SEARCH_PATH, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *args], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingPackagesError(f"apt-get {' '.join(args)} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
