"""Put the commit into what is built, for `hpc-aggregator --version` and hpc_aggregator_build_info."""

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "aggregator/REVISION"


class RevisionHook(BuildHookInterface):
    """Write the revision: SOURCE_REVISION, else what Git says, else what an sdist was made with."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to the archive, and leave the source tree as it is."""
        if version == "editable" or (Path(self.root) / PLACE).exists():
            return
        file = Path(self.directory) / "REVISION"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{self._revision()}\n")
        build_data["force_include"][str(file)] = PLACE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave only the archives behind."""
        (Path(self.directory) / "REVISION").unlink(missing_ok=True)

    def _revision(self) -> str:
        given = os.environ.get("SOURCE_REVISION")
        if given or not (Path(self.root) / ".git").exists():
            return given or "unknown"
        command = ["git", "rev-parse", "HEAD"]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() or "unknown"
