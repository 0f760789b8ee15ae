"""What is installed from the wheel or the sdist is whole: commands, rules, units and an example."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy import tools
from tests.deploy.chart import ROOT

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Built:
    """The archives, and the folder of an environment into which the wheel is installed."""

    wheel: Path
    sdist: Path
    environment: Path

    def run(self, *command: str, cwd: Path) -> str:
        """Run the installed command; what it depends on is that of the tests."""
        (depends,) = {path for path in sys.path if path.endswith("site-packages")}
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": depends}
        done = subprocess.run(
            [str(self.environment / "bin" / command[0]), *command[1:]],
            cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _build(kind: str, source: Path, folder: Path, **variables: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(tools.hatchling()), **variables}
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the wheel from the sdist as pip would, without the network, and install it."""
    folder = tmp_path_factory.mktemp("built")
    _build("sdist", ROOT, folder, SOURCE_REVISION=REVISION)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    _build("wheel", source, folder)
    (wheel,) = folder.glob("*.whl")
    installed = folder / "installed"
    venv.create(installed, with_pip=False)
    pip = [sys.executable, "-m", "pip", f"--python={installed}/bin/python", "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, timeout=60)
    return Built(wheel, sdist, installed)


def test_the_sdist_has_what_an_administrator_needs(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "rules/alerts/hpc-aggregator.yml", "rules/recording/hpc.yml", "deploy/systemd/hpc-aggregator.service",
        "docs/examples/hpc-aggregator.yml", "docs/installing.md", "requirements/runtime.txt", "hatch_build.py",
        "aggregator/REVISION", "deploy/helm/hpc-aggregator/files/alerts/hpc-jobs.yml", "rules/dashboards/job.json",
        "deploy/helm/hpc-aggregator/files/dashboards/job.json",
    }  # fmt: skip
    assert wanted <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(".venv")]


def test_the_wheel_has_the_code_and_no_tests(built: Built) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(built.wheel).namelist()}
    version = built.wheel.name.split("-")[1]
    kinds = {f"hpc_aggregator-{version}.{kind}" for kind in ("dist-info", "data")}
    assert tops == {"aggregator", "jobscript_ingest", *kinds}


def test_units_and_examples_are_below_the_environment(built: Built) -> None:
    share = built.environment / "share" / "hpc-aggregator"
    for kind, source in (("systemd", "deploy/systemd"), ("examples", "docs/examples")):
        files = {file.name: file.read_text() for file in (share / kind).iterdir() if file.is_file()}
        assert files == {file.name: file.read_text() for file in (ROOT / source).iterdir() if file.is_file()}


def test_the_installed_command_writes_the_rules_of_its_version(built: Built, tmp_path: Path) -> None:
    built.run("hpc-aggregator", "rules", "--output=rules", cwd=tmp_path)
    files = [file for file in (tmp_path / "rules").rglob("*") if file.is_file()]
    written = {file.relative_to(tmp_path): file.read_text() for file in files}
    assert written == {name: (ROOT / name).read_text() for name in written}
    assert Counter(name.suffix for name in written) == {".yml": 8, ".json": 9}


def test_the_installed_command_says_the_revision_that_it_was_built_of(built: Built, tmp_path: Path) -> None:
    assert f"(revision: {REVISION})" in built.run("hpc-aggregator", "--version", cwd=tmp_path)


def test_the_source_tree_is_left_as_it_was(built: Built) -> None:
    assert built.wheel.exists()
    assert not (ROOT / "aggregator" / "REVISION").exists()
    assert not (ROOT / "aggregator" / "rules").exists()
