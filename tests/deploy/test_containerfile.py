"""The Containerfile is clean, and agrees with the chart."""

import re
import subprocess

import yaml

from tests.deploy import tools
from tests.deploy.chart import CHART, ROOT

CONTAINERFILE = ROOT / "deploy" / "Containerfile"


def test_hadolint_has_nothing_to_say() -> None:
    command = [str(tools.hadolint()), "--no-color", str(CONTAINERFILE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (0, "")


def test_the_user_is_that_of_the_chart() -> None:
    context = yaml.safe_load((CHART / "values.yaml").read_text())["podSecurityContext"]
    (user,) = re.findall(r"^USER (\d+):(\d+)$", CONTAINERFILE.read_text(), re.MULTILINE)
    assert user == (str(context["runAsUser"]), str(context["runAsGroup"]))


def test_the_version_is_that_of_the_chart() -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert f"ARG VERSION={version}\n" in CONTAINERFILE.read_text()


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    copied = re.findall(r"^COPY ([a-z]\S*) ", CONTAINERFILE.read_text(), re.MULTILINE)
    assert copied
    kept = re.findall(r"^!(\S+)$", (ROOT / ".containerignore").read_text(), re.MULTILINE)
    assert {path.split("/")[0] for path in copied} == set(kept)
    assert [path for path in copied if not (ROOT / path).exists()] == []
