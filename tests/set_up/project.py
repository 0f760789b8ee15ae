"""A copy of the project's set-up with pins of its own, and the packages that they are about."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.machine import alone

ROOT = Path(__file__).resolve().parents[2]


def wheel(folder: Path, name: str, version: str, needs: Sequence[str] = (), extras: Sequence[str] = ()) -> str:
    """Write a distribution that holds nothing; return its hash as pip writes it."""
    metadata = [
        "Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}",
        *(f"Provides-Extra: {extra}" for extra in extras), *(f"Requires-Dist: {need}" for need in needs),
    ]  # fmt: skip
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(member, text)
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def source(folder: Path, name: str, version: str) -> str:
    """Write a distribution that would have to be built; return its hash as pip writes it."""
    path = folder / f"{name}-{version}.tar.gz"
    text = f"from setuptools import setup\nsetup(name={name!r}, version={version!r})\n".encode()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-{version}/setup.py")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


class Project:
    """The Makefile in a folder of its own, which installs from the folder `index` and from nowhere else."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder = folder / "project"
        self._python = python
        self.index = folder / "index"
        self.index.mkdir()
        (self._folder / "requirements").mkdir(parents=True)
        shutil.copy(ROOT / "Makefile", self._folder)

    def pin(self, pins: Mapping[str, str]) -> None:
        """Write both files of requirements: a pin → its hash."""
        text = "".join(f"{pin} \\\n    --hash={digest}\n" for pin, digest in pins.items())
        for name in ("runtime", "test"):
            (self._folder / "requirements" / f"{name}.txt").write_text(text)

    def make(self, *targets: str) -> subprocess.CompletedProcess[str]:
        """Make these targets as on a fresh machine."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        # The Makefile may install what the machine lacks.
        with alone("packages"):
            return subprocess.run(
                ["make", *targets, f"PYTHON={self._python}"], cwd=self._folder, env={**kept, **pip},
                capture_output=True, text=True, check=False, timeout=200,
            )  # fmt: skip

    def installed(self) -> set[str]:
        """Return what is installed, each as ``name==version``."""
        done = subprocess.run(
            [self._folder / ".venv/bin/python", "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return set(done.stdout.split())
