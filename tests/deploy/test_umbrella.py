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
    return _chart(request.param, tmp_path_factory.mktemp("umbrella"))


@pytest.fixture(scope="module", params=tools.HELMS)
def aliased(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Make a chart in which ours has another name and a tag, and gives the parent one of its values."""
    imported = [{"child": "service", "parent": "aggregatorService"}]
    more = {"alias": "hpc", "condition": "hpc.enabled", "tags": ["monitoring"], "import-values": imported}
    return _chart(request.param, tmp_path_factory.mktemp("aliased"), **more)


def _chart(helm: str, folder: Path, **more: Any) -> tuple[str, Path]:
    (folder / "charts").mkdir()
    run(helm, "package", "--destination", str(folder / "charts"), str(CHART))
    part = {"name": "hpc-aggregator", "version": yaml.safe_load((CHART / "Chart.yaml").read_text())["version"],
            "condition": "hpc-aggregator.enabled", **more}  # fmt: skip
    chart = {"apiVersion": "v2", "name": "umbrella", "version": "0.1.0", "dependencies": [part]}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    return helm, folder


def run(helm: str, *arguments: str) -> str:
    command = [str(tools.helm(helm)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kinds(umbrella: tuple[str, Path], values: dict[str, Any]) -> set[str]:
    return {document["kind"] for document in rendered(umbrella, values)}


def rendered(umbrella: tuple[str, Path], values: dict[str, Any]) -> list[dict[str, Any]]:
    helm, folder = umbrella
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    text = run(helm, "template", "site", str(folder), "--values", str(file), "--kube-version", KUBERNETES)
    return [document for document in yaml.safe_load_all(text) if document]


def test_a_part_that_is_switched_on_is_rendered(umbrella: tuple[str, Path]) -> None:
    values = {"global": {"imageRegistry": "r.example"}, "hpc-aggregator": {"enabled": True, **VALUES}}
    assert "Deployment" in kinds(umbrella, values)


def test_a_part_that_is_switched_off_is_not(umbrella: tuple[str, Path]) -> None:
    assert kinds(umbrella, {"hpc-aggregator": {"enabled": False, **VALUES}}) == set()


def test_a_part_of_which_nothing_is_said_is_rendered(umbrella: tuple[str, Path]) -> None:
    assert "Deployment" in kinds(umbrella, {"hpc-aggregator": VALUES})


def test_a_part_with_an_alias_is_rendered_and_switched_by_it(aliased: tuple[str, Path]) -> None:
    assert "Deployment" in kinds(aliased, {"hpc": {"enabled": True, **VALUES}})
    assert kinds(aliased, {"hpc": {"enabled": False, **VALUES}}) == set()


def test_a_part_is_switched_by_the_parents_tags(aliased: tuple[str, Path]) -> None:
    assert "Deployment" in kinds(aliased, {"tags": {"monitoring": True}, "hpc": VALUES})
    assert kinds(aliased, {"tags": {"monitoring": False}, "hpc": VALUES}) == set()


@pytest.mark.parametrize("names", [{}, {"nameOverride": "site"}, {"fullnameOverride": "site"}])
def test_prometheus_scrapes_it_as_the_job_of_the_alerts_under_any_name(
    aliased: tuple[str, Path], names: dict[str, str]
) -> None:
    config = {**VALUES["config"], "auth": {"anonymous": ["health", "metrics"]}}
    values = {**names, "config": config, "serviceMonitor": {"enabled": True}}
    (monitor,) = [each for each in rendered(aliased, {"hpc": values}) if each["kind"] == "ServiceMonitor"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "hpc-aggregator"}]
