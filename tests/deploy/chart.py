"""Run helm on the chart."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy import tools

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "hpc-aggregator"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.31.0"
Manifests = dict[str, dict[str, Any]]


def run_helm(helm: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(tools.helm(helm)), *arguments, "--kube-version", KUBERNETES]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def render(helm: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return run_helm(helm, "template", "site", str(CHART), "--namespace", "hpc", *flags)


@cache
def manifests(helm: str, values: Path) -> Manifests:
    """Render the chart; by kind, the test pod as Pod, and each board by its name."""
    result = render(helm, "--values", str(values))
    assert result.returncode == 0, result.stderr
    documents = [document for document in yaml.safe_load_all(result.stdout) if document]
    found = {_key(document): document for document in documents}
    assert len(found) == len(documents), "two manifests of one kind"
    return found


def _key(document: dict[str, Any]) -> str:
    _, _, board = document["metadata"]["name"].partition("-dashboard-")
    return f"dashboard {board}" if board else document["kind"]


def ci(name: str) -> Manifests:
    return manifests("helm4", CHART / "ci" / f"{name}-values.yaml")
