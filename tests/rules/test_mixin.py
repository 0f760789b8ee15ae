"""rules/mixin.libsonnet, by the real Jsonnet: all that is shipped, as it is shipped."""

import json
import subprocess
import sys
from typing import Any

import yaml

from tests.deploy import tools
from tests.rules.boards import FILES
from tests.rules.files import OWN, RULES, rule_files

EVALUATE = """
import sys; sys.path.insert(0, sys.argv[1])
import _jsonnet
print(_jsonnet.evaluate_snippet("mixin", sys.argv[2], jpathdir=[sys.argv[3]]))
"""


def evaluated(snippet: str) -> Any:
    """Evaluate what a user of the mixin writes."""
    command = [sys.executable, "-I", "-c", EVALUATE, str(tools.jsonnet()), snippet, str(RULES)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def test_the_mixin_has_every_alert_board_and_what_they_read() -> None:
    mixin = evaluated(
        "local it = import 'mixin.libsonnet'; [it.prometheusAlerts, it.prometheusRules, it.grafanaDashboards]"
    )
    alerts = [group for path in rule_files("alerts") for group in yaml.safe_load(path.read_text())["groups"]]
    boards = {f"hpc-{path.name}": json.loads(path.read_text()) for path in FILES}
    assert mixin == [{"groups": alerts}, yaml.safe_load(OWN.read_text()), boards]


def test_the_links_of_the_boards_are_configured() -> None:
    (job,) = evaluated(
        "local it = (import 'mixin.libsonnet') + { _config+:: { serviceUrl: 'https://own.example.org' } };"
        " [it.grafanaDashboards['hpc-job.json']]"
    )
    (query,) = [each["query"] for each in job["templating"]["list"] if each["name"] == "service"]
    assert query == "https://own.example.org"
