"""docs/kubernetes.md and values.yaml say the same."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.deploy.chart import CHART, ROOT

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
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    documented = re.findall(r"^\| `([A-Za-z.]+)` \|", page, re.MULTILINE)
    assert sorted(documented) == sorted(_keys(yaml.safe_load((CHART / "values.yaml").read_text())))
