"""What is pinned is installed on a fresh machine, whatever was released since."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.packages import MissingPackagesError, prometheus_3
from tests.set_up.project import Project, source, wheel

# Debian's own Python has a pip of 2023, which takes a pin without its extra for another requirement.
DEBIAN = "/usr/bin/python3"


@pytest.mark.parametrize("python", [sys.executable, DEBIAN], ids=["this Python", "Debian's Python"])
@pytest.mark.parametrize("pin", ["inner[toml]==1.0", "inner==1.0"])
def test_a_newer_release_of_a_dependency_is_not_asked_for(tmp_path: Path, python: str, pin: str) -> None:
    """As coverage[toml] was: a requirement with an extra, without an upper bound."""
    project = Project(tmp_path, python)
    outer = wheel(project.index, "outer", "1.0", ["inner[toml]>=1"])
    inner = wheel(project.index, "inner", "1.0", ['leaf>=1; extra == "toml"'], ["toml"])
    leaf = wheel(project.index, "leaf", "1.0")
    wheel(project.index, "inner", "1.1", ['leaf>=1; extra == "toml"', "something-new"], ["toml"])
    wheel(project.index, "leaf", "2.0")
    project.pin({"outer==1.0": outer, pin: inner, "leaf==1.0": leaf})
    done = project.make(".venv/.runtime", ".venv/.test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.installed() >= {"outer==1.0", "inner==1.0", "leaf==1.0"}


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, sys.executable)
    wheel(project.index, "outer", "1.0")
    project.pin({"outer==1.0": "sha256:" + "0" * 64})
    done = project.make(".venv/.runtime")
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr


def test_nothing_is_built_with_the_tools_of_the_day(tmp_path: Path) -> None:
    """A package without a wheel would be built with the newest setuptools, which no hash covers."""
    project = Project(tmp_path, sys.executable)
    project.pin({"outer==1.0": source(project.index, "outer", "1.0")})
    done = project.make(".venv/.test")
    assert done.returncode != 0
    assert "No matching distribution found for outer==1.0" in done.stderr


def test_what_the_pins_install_fits_together() -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "No broken requirements found.\n"), done.stderr


def prometheus(folder: Path, version: str) -> Path:
    path = folder / version
    path.write_text(f"#!/bin/sh\necho 'prometheus, version {version} (branch: debian/sid)'\n")
    path.chmod(0o755)
    return path


def test_prometheus_3_comes_from_the_first_release_of_debian_that_has_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def newer(release: str) -> Path:
        if release == "forky":
            raise MissingPackagesError("the mirror has no forky")
        return prometheus(tmp_path, "3.99.1")

    monkeypatch.setattr("tests.lab.packages._installed_prometheus", lambda _: prometheus(tmp_path, "2.42.0"))
    monkeypatch.setattr("tests.lab.packages._newer", newer)
    assert prometheus_3() == str(tmp_path / "3.99.1")


def test_without_a_prometheus_3_it_is_said_what_each_place_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.lab.packages._installed_prometheus", lambda _: prometheus(tmp_path, "2.42.0"))
    monkeypatch.setattr("tests.lab.packages._newer", lambda release: prometheus(tmp_path, "4.0.0"))
    with pytest.raises(MissingPackagesError, match=r"this machine: .* 2\.42\.0 .*forky: .* 4\.0\.0 .*sid: .* 4\.0\.0"):
        prometheus_3()
