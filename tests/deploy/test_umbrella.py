"""The chart as a part of another one, which switches its parts on and off, and gives them global values."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import tools
from tests.deploy.chart import CHART, KUBERNETES

VALUES = {
    "config": {
        "clusters": {
            "lab": {
                "slurmacct": {"host": "db1", "user": "aggregator"},
                "prometheus": {"url": "http://prometheus:9090"},
            }
        }
    }
}


@pytest.fixture(scope="module", params=tools.HELMS)
def umbrella(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Make a chart whose only part is ours, for one of the helms."""
    folder = tmp_path_factory.mktemp("umbrella")
    (folder / "charts").mkdir()
    run(request.param, "package", "--destination", str(folder / "charts"), str(CHART))
    part = {"name": "hpc-aggregator", "version": yaml.safe_load((CHART / "Chart.yaml").read_text())["version"],
            "condition": "hpc-aggregator.enabled"}  # fmt: skip
    chart = {"apiVersion": "v2", "name": "umbrella", "version": "0.1.0", "dependencies": [part]}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    return request.param, folder


def run(helm: str, *arguments: str) -> str:
    command = [str(tools.helm(helm)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kinds(umbrella: tuple[str, Path], values: dict[str, Any]) -> set[str]:
    helm, folder = umbrella
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    text = run(helm, "template", "site", str(folder), "--values", str(file), "--kube-version", KUBERNETES)
    return {document["kind"] for document in yaml.safe_load_all(text) if document}


def test_a_part_that_is_switched_on_is_rendered(umbrella: tuple[str, Path]) -> None:
    values = {"global": {"imageRegistry": "r.example"}, "hpc-aggregator": {"enabled": True, **VALUES}}
    assert "Deployment" in kinds(umbrella, values)


def test_a_part_that_is_switched_off_is_not(umbrella: tuple[str, Path]) -> None:
    assert kinds(umbrella, {"hpc-aggregator": {"enabled": False, **VALUES}}) == set()


def test_a_part_of_which_nothing_is_said_is_rendered(umbrella: tuple[str, Path]) -> None:
    assert "Deployment" in kinds(umbrella, {"hpc-aggregator": VALUES})
