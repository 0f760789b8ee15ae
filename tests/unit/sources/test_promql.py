import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.prometheus.exporters.slurm_job_exporter import (
    GPU_INPUTS,
    HEALTHY_NODES,
    JOB_INPUTS,
    WINDOW_HEALTHY_NODES,
)
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.promql import selector
from aggregator.sources.prometheus.render import promql
from aggregator.sources.prometheus.settings import ExporterSettings
from tests.lab.packages import promtool

INPUTS = (*JOB_INPUTS, *GPU_INPUTS, HEALTHY_NODES, WINDOW_HEALTHY_NODES)
PLAIN = {"cluster": "narval"}
HOSTILE = {
    "cluster": 'nar"} or up{x="val', "b": "back\\slash", "c": "new\nline", "d": "$series $$ ${job}", "e": "{{braces}}",
    "f": "émoji\U0001f680", "g": "\\", "h": '"', "i": "tab\tcr\rbell\x07", "j": "", "k": "`", "l": "'",
}  # fmt: skip
RENAMED = ExporterSettings(
    interval=15.0,
    metrics={item.name: f"site:{item.name}" for item in INPUTS},
    labels={"slurmjobid": "jobid"},
)


def check_with_promtool(expressions: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Check expressions as recording rules; JSON is YAML that can carry any text."""
    rules = [{"record": f"r{number}", "expr": text} for number, text in enumerate(expressions)]
    file = directory / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}, ensure_ascii=False))
    return subprocess.run(
        [promtool(), "check", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip


@pytest.mark.parametrize("matchers", [{}, PLAIN, HOSTILE], ids=["none", "plain", "hostile"])
@pytest.mark.parametrize("settings", [ExporterSettings(), RENAMED], ids=["plain", "renamed"])
def test_every_expression_is_promql(matchers: dict[str, str], settings: ExporterSettings, tmp_path: Path) -> None:
    expressions = [promql(item, matchers, settings, "instance") for item in INPUTS]
    result = check_with_promtool(expressions, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(INPUTS)} rules found" in result.stdout


@pytest.mark.parametrize("interval", [1.0, 15.0, 30.0, 60.0, 30.5, 30.333, 0.25, 250_000.0, 86_400.0])
def test_a_rate_window_of_any_interval_is_a_duration(interval: float, tmp_path: Path) -> None:
    settings = ExporterSettings(interval=interval)
    result = check_with_promtool([promql(JOB_INPUTS[0], PLAIN, settings, "instance")], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_promtool_would_notice(tmp_path: Path) -> None:
    assert check_with_promtool(['sum by (a) (up{a="b"}'], tmp_path).returncode != 0


def test_the_rate_window_is_four_intervals() -> None:
    assert ExporterSettings(interval=60.0).rate_window == 240.0
    assert "[240s]" in promql(JOB_INPUTS[0], PLAIN, ExporterSettings(interval=60.0), "instance")


@pytest.mark.parametrize("item", INPUTS, ids=lambda item: item.name)
def test_every_expression_is_of_the_cluster_only(item: Expression) -> None:
    text = promql(item, PLAIN, ExporterSettings(), "instance")
    assert text.count('{cluster="narval"') == len(re.findall(r"\b(?:slurm_job_\w+|up)\b", text))


@pytest.mark.parametrize("item", INPUTS, ids=lambda item: item.name)
def test_the_sites_names_are_used(item: Expression) -> None:
    text = promql(item, PLAIN, RENAMED, "node")
    assert f"site:{item.name}" in text
    assert item.main.name not in text
    assert "slurmjobid" not in text
    # Who vouches is a target of Prometheus, which has its own names for it.
    assert "instance" not in text or item in (HEALTHY_NODES, WINDOW_HEALTHY_NODES)


def test_a_selector_without_matchers_is_the_metric() -> None:
    assert selector("up", {}) == "up"


def test_matchers_of_the_site_and_of_the_input_are_both_there() -> None:
    assert selector("up", PLAIN, ("state", "!=", "x")) == 'up{cluster="narval",state!="x"}'


def unquote(text: str) -> str:
    """Read a double-quoted PromQL string back, as Go's strconv does for these escapes."""
    assert "\n" not in text
    return re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_is_quoted_so_that_it_is_read_back(value: str) -> None:
    text = selector("up", {"a": value})
    match = re.fullmatch(r'up\{a="((?:\\.|[^"\\])*)"\}', text, re.DOTALL)
    assert match is not None
    assert unquote(match[1]) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_never_changes_the_expression_around_it(value: str) -> None:
    marked = promql(JOB_INPUTS[0], {"a": "MARK"}, ExporterSettings(), "instance")
    hostile = promql(JOB_INPUTS[0], {"a": value}, ExporterSettings(), "instance")
    quoted = selector("", {"a": value})[4:-2]
    assert hostile == marked.replace("MARK", quoted)
