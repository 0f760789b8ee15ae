"""Build the image and run commands in it, without a daemon, a registry or the network."""

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.deploy import tools
from tests.deploy.chart import ROOT
from tests.lab.packages import ensure_packages

CONTAINERFILE = ROOT / "deploy" / "Containerfile"
REQUIREMENTS = ROOT / "requirements" / "runtime.txt"
_TAG = "localhost/hpc-aggregator:test"
_PRINTED = "/printed"
# What the build may take on a busy machine; it takes one to two minutes on an idle one.
BUILD_SECONDS = 1500.0
# What is left for a test beside it: the limit of all other tests.
TEST_SECONDS = 300.0


class Image:
    """The image, built on a stand-in for its base, in a storage of its own."""

    def __init__(self, folder: Path) -> None:
        ensure_packages(["buildah"])
        self._folder = folder
        self._build()
        self._container = self._buildah("from", "--pull-never", _TAG).strip()
        self.inspected: dict[str, Any] = json.loads(self._buildah("inspect", "--type", "image", _TAG))

    @property
    def config(self) -> dict[str, Any]:
        """What the image says of how to run it: User, Entrypoint, Cmd and more."""
        config: dict[str, Any] = self.inspected["OCIv1"]["config"]
        return config

    @property
    def added_bytes(self) -> int:
        """The size of what is not its base, uncompressed."""
        _, *added = json.loads(self.inspected["Manifest"])["layers"]
        return sum(layer["size"] for layer in added)

    def command(self, *command: str, volumes: Sequence[str] = ()) -> list[str]:
        """Give the command line that runs *command* in the image as its user, on the network of this machine."""
        flags = [flag for volume in volumes for flag in ("--volume", volume)]
        flags += ["--isolation", "chroot", "--cap-drop", "all"]
        return [*self._tool, "run", *flags, self._container, "--", *command]

    def run(self, *command: str, volumes: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command to its end. What it prints goes to files: buildah was seen to lose it on a busy machine."""
        with tempfile.TemporaryDirectory(prefix="hpc-aggregator-image-") as folder:
            Path(folder).chmod(0o777)
            printing = ("sh", "-c", f'exec "$@" >{_PRINTED}/out 2>{_PRINTED}/err', "sh", *command)
            arguments = self.command(*printing, volumes=[*volumes, f"{folder}:{_PRINTED}"])
            done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=180)
            files = (Path(folder, name) for name in ("out", "err"))
            out, err = (file.read_text() if file.exists() else "" for file in files)
        return subprocess.CompletedProcess(done.args, done.returncode, out, err + done.stderr)

    def _build(self) -> None:
        """Build as the Containerfile says; the installer finds only what was downloaded before."""
        (base,) = re.findall(r"^ARG BASE=(\S+)$", CONTAINERFILE.read_text(), re.MULTILINE)
        empty = self._buildah("from", "scratch").strip()
        self._buildah("add", empty, str(tools.base_image()), "/")
        self._buildah("commit", "--quiet", "--rm", empty, base)
        settings = self._folder / "pip.conf"
        settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        volumes = ["--volume", f"{tools.wheels(REQUIREMENTS)}:/wheels:ro", "--volume", f"{settings}:/etc/pip.conf:ro"]
        flags = ["--isolation", "chroot", "--pull-never", "--file", str(CONTAINERFILE), "--tag", _TAG]
        self._buildah("bud", *flags, *volumes, str(ROOT))

    @property
    def _tool(self) -> list[str]:
        places = ["--root", str(self._folder / "storage"), "--runroot", str(self._folder / "run")]
        return ["buildah", "--storage-driver", "vfs", *places]

    def _buildah(self, *arguments: str) -> str:
        command = [*self._tool, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout
