"""docs/kubernetes.md says what the chart and the service accept."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.config import load_web
from tests.deploy.chart import CHART, ROOT, render

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WEB, PARENT = "# web.yml\n", "# Chart.yaml "
VALUES = [example for example in EXAMPLES if not example.startswith((WEB, PARENT))]

# Their content is the site's, or the service's: documented as one key.
WHOLE = {"config"}


def _keys(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = prefix + key
        if isinstance(value, dict) and value and path not in WHOLE:
            yield from _keys(value, path + ".")
        else:
            yield path


def test_the_page_has_every_value_and_no_other() -> None:
    _, _, page = PAGE.partition("\n## Values\n")
    documented = re.findall(r"^\| `([A-Za-z.]+)` \|", page, re.MULTILINE)
    assert sorted(documented) == sorted(_keys(yaml.safe_load((CHART / "values.yaml").read_text())))


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_each_example_can_be_added_to_the_first(number: int, tmp_path: Path) -> None:
    flags = []
    for name in (0, number):
        (tmp_path / f"{name}.yaml").write_text(VALUES[name])
        flags += ["--values", str(tmp_path / f"{name}.yaml")]
    if "replicaCount" in VALUES[number]:
        flags += ["--set", "persistence.enabled=false"]
    result = render("helm4", *flags)
    assert result.returncode == 0, result.stderr


def test_the_web_configuration_is_one(tmp_path: Path) -> None:
    (example,) = (example for example in EXAMPLES if example.startswith(WEB))
    (tmp_path / "web.yml").write_text(example.replace("$2y$10$…", "$2y$10$" + 53 * "a"))
    web = load_web(tmp_path / "web.yml")
    assert web.tls_server_config is not None
    assert set(web.basic_auth_users) == {"prometheus"}


def test_the_parent_chart_names_this_chart() -> None:
    (example,) = (example for example in EXAMPLES if example.startswith(PARENT))
    (part,) = yaml.safe_load(example)["dependencies"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (part["name"], part["version"]) == (chart["name"], chart["version"])
