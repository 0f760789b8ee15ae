"""`make sbom` lists what an installation has, each with its hashes."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.deploy import tools
from tests.deploy.chart import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
PINS = (ROOT / "requirements" / "runtime.txt").read_text()


def test_the_tools_of_the_makefile_are_those_of_the_tests() -> None:
    assert f"SBOM_TOOL := {tools.CYCLONEDX}\n" in MAKEFILE
    assert tools.HATCHLING in MAKEFILE


def test_it_has_every_pin_with_its_version_and_hashes(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"\bcyclonedx-py ((?:.*\\\n)*.*)\n", MAKEFILE)
    file = tmp_path / "sbom.json"
    flags = [
        part.replace("dist/hpc-aggregator.cdx.json", str(file)) for part in shlex.split(recipe.replace("\\\n", ""))
    ]
    environment = {**os.environ, "PYTHONPATH": str(tools.cyclonedx()), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *flags], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found["bomFormat"] == "CycloneDX"
    assert found["metadata"]["component"]["name"] == "hpc-aggregator"
    pins = dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+) \\$", PINS, re.MULTILINE))
    assert {each["name"].lower(): each["version"] for each in found["components"]} == pins
    hashes = sum(len(reference["hashes"]) for each in found["components"] for reference in each["externalReferences"])
    assert hashes == PINS.count("--hash=")
