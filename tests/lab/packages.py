"""The Debian packages that the lab needs, and how missing ones are installed."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.lab.machine import alone

# Daemons live in sbin, which is not on an ordinary user's PATH.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

DATABASE = ("mariadb-server",)
SLURM = ("munge", "slurmdbd", "slurmctld", "slurmd", "slurm-client")
PROMETHEUS = ("prometheus",)
ALERTMANAGER = ("prometheus-alertmanager",)
FAKETIME = ("faketime",)
VICTORIAMETRICS = ("victoria-metrics",)
# The Debian releases whose Prometheus is of the 3.x series, to be tried in turn; it runs on older ones too.
PROMETHEUS_3_RELEASES = ("forky", "sid")

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


def prometheus_3() -> str:
    """Return the full path of a Prometheus 3.x: the installed one, or else one unpacked from a newer release of Debian.

    Raises MissingPackagesError that says what each release lacks.
    """
    ensure_packages(PROMETHEUS)
    failures = []
    for place, find in (("this machine", _installed_prometheus), *((each, _newer) for each in PROMETHEUS_3_RELEASES)):
        try:
            binary = find(place)
        except MissingPackagesError as error:
            failures.append(f"{place}: {error}")
            continue
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
        if re.match(r"prometheus, version 3\.", said.stdout + said.stderr):
            return str(binary)
        failures.append(f"{place}: {(said.stdout + said.stderr).strip()[:200]}")
    raise MissingPackagesError("no Prometheus 3.x: " + "; ".join(failures))


def _installed_prometheus(place: str) -> Path:
    return Path(program("prometheus"))


def _newer(release: str) -> Path:
    """Return the Prometheus of a release of Debian, unpacked beside the installed one."""
    folder = Path(tempfile.gettempdir()) / f"hpc-aggregator-lab-{os.geteuid()}" / f"prometheus-{release}"
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    with alone("prometheus"), tempfile.TemporaryDirectory(dir=folder.parent) as work:
        if not folder.exists():
            _unpack("prometheus", release, Path(work))
            (Path(work) / "tree").rename(folder)
    return folder / "usr/bin/prometheus"


def _unpack(package: str, release: str, work: Path) -> None:
    """Unpack a package of another release into *work*/tree, with package lists of its own."""
    (work / "lists").mkdir()
    (work / "sources.list").write_text(f"deb {_mirror()} {release} main\n")
    own = [
        f"Dir::Etc::SourceList={work}/sources.list",
        "Dir::Etc::SourceParts=-",
        f"Dir::State::Lists={work}/lists",
        f"Dir::Cache={work}/cache",
        "APT::Sandbox::User=",
        "Debug::NoLocking=1",
    ]
    options = [word for option in own for word in ("-o", option)]
    _apt_get(*options, "update", "-q")
    _apt_get(*options, "download", "-q", package, cwd=work)
    (deb,) = work.glob("*.deb")
    subprocess.run(["dpkg", "-x", deb, work / "tree"], check=True, capture_output=True)


def _mirror() -> str:
    """Return the address of the Debian mirror that apt is set up with."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        _, address, origin, label = line.split(" ", 3)
        if (origin, label) == ("Debian", "Debian"):
            return address
    raise MissingPackagesError("apt has no Debian mirror (see apt-get indextargets), which has Prometheus 3.x")


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
    with alone("packages"):
        # Another test run may have installed them in the meantime: then this does nothing.
        _apt_get("update", "-q")
        _apt_get("install", "-q", "-y", "--no-install-recommends", *missing)


def _installed(package: str) -> bool:
    return shutil.which(_PROGRAMS.get(package, package), path=SEARCH_PATH) is not None


def _apt_get(*args: str, cwd: Path | None = None) -> None:
    environment = {**os.environ, "PATH": SEARCH_PATH, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *args], env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingPackagesError(f"apt-get {' '.join(args)} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
