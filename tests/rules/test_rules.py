"""rules/: syntax, behaviour, and agreement with the families and the runbook."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from aggregator.app.layouts import BY_NAME
from tests.contract.metrics_page import service_families
from tests.rules.contract import CONTRACT, INPUTS, NEWEST
from tests.rules.files import OWN, PAGES, ROOT, RULES, alerts, rule_files, rules, run

RUNBOOK = ROOT / "docs" / "runbook.md"
PAGE = ROOT / "docs" / "rules.md"
UNIT_TESTS = sorted((RULES / "tests").glob("*.test.yml"))
RUNBOOK_URL = '{{ or $externalLabels.hpc_runbook_url "docs/runbook.md" }}'
SECTIONS = ("Meaning", "Impact", "Check", "Fix")
EXTERNAL_LABELS = {"hpc_aggregator_url", "hpc_runbook_url"}
WORDS = {
    "absent", "and", "bool", "by", "changes", "count", "deriv", "group_left", "histogram_quantile", "ignoring",
    "increase", "label_replace", "max", "min", "offset", "on", "or", "rate", "sum", "sum_over_time", "time", "topk",
    "unless", "without",
}  # fmt: skip


def service_names() -> set[str]:
    return {family.name + ("_total" if family.type == "counter" else "") for family in service_families()}


def known() -> set[str]:
    histograms = {family.name for family in (*service_families(), *BY_NAME.values()) if family.type == "histogram"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    return {*BY_NAME, *service_names(), *parts, "up", *OWN_SERIES}


# What rules/recording/hpc.yml records of each of the service's own families.
OWN_SERIES = {rule["record"]: rule["expr"] for rule in yaml.safe_load(OWN.read_text())["groups"][0]["rules"]}
_OF_AN_HOUR = ":increase1h"


def names(expr: str) -> set[str]:
    """Find the metric names of an expression: what is left without strings, selectors, groupings and windows."""
    expr = re.sub(r'"(?:[^"\\]|\\.)*"', "", expr)
    expr = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", expr)
    expr = re.sub(r"\b(by|without|on|ignoring|group_left)\s*\([^)]*\)", "", expr)
    return set(re.findall(r"(?<![\w.])[a-zA-Z_:][a-zA-Z0-9_:]*", expr)) - WORDS


def severities(rule: dict[str, Any]) -> set[str]:
    """Give the severities of a rule's alerts: its own, or those of the series."""
    return {rule["labels"]["severity"]} if "severity" in rule["labels"] else {"warning", "critical"}


def title(rule: dict[str, Any]) -> str:
    return "-".join((rule["alert"], *sorted(severities(rule))))


def headings(page: Path) -> dict[str, str]:
    """Give the text under each second-level heading."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_promtool_accepts_every_rule_file() -> None:
    assert len(rule_files()) == 7
    run("promtool", "check", "rules", *rule_files())


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name)
def test_promtool_unit_tests(path: Path) -> None:
    run("promtool", "test", "rules", path)


def test_the_recorded_names_are_the_contract_s() -> None:
    recorded = [rule["record"] for rule in rules("recording")]
    assert len(CONTRACT) == 22
    assert sorted(recorded) == sorted([*CONTRACT, *NEWEST, *INPUTS, *OWN_SERIES])


def test_every_recorded_series_has_a_unit_test() -> None:
    tested = {
        case["expr"]
        for path in UNIT_TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("promql_expr_test", [])
        if case["exp_samples"]
    }
    assert {*CONTRACT, *NEWEST, *INPUTS, *OWN_SERIES} <= tested


def test_every_alert_is_tested_to_fire_and_not_to_fire() -> None:
    firing: set[tuple[str, str]] = set()
    silent: set[str] = set()
    for path in UNIT_TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                expected: list[dict[str, Any]] = case["exp_alerts"]
                firing |= {(case["alertname"], alert["exp_labels"]["severity"]) for alert in expected}
                silent |= {case["alertname"]} if not expected else set()
    assert firing == {(rule["alert"], severity) for rule in alerts() for severity in severities(rule)}
    assert silent == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=title)
def test_an_alert_is_complete(rule: dict[str, Any]) -> None:
    assert rule["for"]
    assert severities(rule) <= {"warning", "critical"}
    assert rule["labels"]["team"] in {"monitoring", "storage", "user-support", "cloud"}
    links = {"job_url"} if rule["labels"]["team"] == "user-support" else set()
    assert set(rule["annotations"]) - {"job_name"} == {"summary", "description", "runbook_url", *links}
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOK_URL}#{rule['alert'].lower()}"


@pytest.mark.parametrize("rule", alerts(), ids=title)
def test_an_alert_names_families_and_labels_that_exist(rule: dict[str, Any]) -> None:
    assert names(rule["expr"]), "no metric"
    assert names(rule["expr"]) <= known()
    for word, matchers in re.findall(r"([\w:]+)\{([^}]*)\}", rule["expr"]):
        name = word.replace(":", "_")
        if name in BY_NAME:
            assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= set(BY_NAME[name].labels)


def test_a_wrong_name_would_be_found() -> None:
    assert names('sum by (a) (hpc_jop_gpus_busy{x="up"}) > 0 and on (b) time() - up > 1') == {"hpc_jop_gpus_busy", "up"}


@pytest.mark.parametrize("rule", alerts(), ids=title)
def test_the_texts_of_an_alert_name_families_that_exist(rule: dict[str, Any]) -> None:
    asked = set(re.findall(r"\bhpc[_:][\w:]+", " ".join(rule["annotations"].values())))
    assert asked - EXTERNAL_LABELS <= known()


def test_only_the_alerts_on_jobs_take_their_severity_from_the_series() -> None:
    of_the_series = {rule["alert"] for rule in alerts() if "severity" not in rule["labels"]}
    assert of_the_series == {"HpcJobWaste", "HpcUserWasteInBulk"}


def test_a_job_s_alert_and_the_one_that_stands_for_many_fire_together() -> None:
    """Else the single ones would be told before they are inhibited."""
    assert {rule["for"] for rule in alerts() if rule["alert"] in ("HpcJobWaste", "HpcUserWasteInBulk")} == {"10m"}


@pytest.mark.parametrize("rule", [rule for rule in alerts() if "job_url" in rule["annotations"]], ids=title)
def test_a_link_of_an_alert_opens_a_page(rule: dict[str, Any]) -> None:
    """Whichever of two ends it has."""
    start, *ends = re.split(r"\{\{-? (?:with|else|end)[^}]*\}\}", rule["annotations"]["job_url"])
    found = [re.sub(r"\{\{.*?\}\}", "{}", start + end) for end in ends or [""]]
    assert {link.removeprefix("{}") for link in found} - {"/ui/clusters/{}/"} <= PAGES


def test_every_alert_has_a_heading_in_the_runbook_and_vice_versa() -> None:
    sections = headings(RUNBOOK)
    assert set(sections) == {rule["alert"] for rule in alerts()}
    for alert, text in sections.items():
        assert tuple(re.findall(r"^\*\*(\w+)\*\*", text, re.MULTILINE)) == SECTIONS, alert


def test_the_runbook_s_queries_are_valid_and_name_families_that_exist(tmp_path: Path) -> None:
    queries = [
        line
        for block in re.findall(r"```promql\n(.*?)```", RUNBOOK.read_text(), re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith("#")
    ]
    assert queries
    for query in queries:
        assert {name for name in names(query) if name.startswith("hpc")} <= known(), query
    checked = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "runbook", "rules": checked}]}))
    run("promtool", "check", "rules", tmp_path / "queries.yml")


@pytest.mark.parametrize("path", [RUNBOOK, PAGE], ids=lambda path: path.name)
def test_a_page_names_families_that_exist(path: Path) -> None:
    named = set(re.findall(r"\bhpc_\w*[a-z]\b(?!\*)", path.read_text()))
    assert named - EXTERNAL_LABELS - {"hpc_inputs"} <= known()


def test_each_gauge_is_recorded_as_it_is_without_replicas() -> None:
    for record, expr in OWN_SERIES.items():
        if record != "hpc:user_waste_jobs:by_reason" and not record.endswith(_OF_AN_HOUR):
            family = record.replace(":", "_")
            assert expr == f"max without (instance, pod) ({family})"
            # The larger of two counters goes back when its replica ends.
            assert BY_NAME[family].type == "gauge"


def test_a_counter_is_recorded_as_what_each_replica_counts_in_an_hour() -> None:
    recorded = {name.removesuffix(_OF_AN_HOUR): expr for name, expr in OWN_SERIES.items() if name.endswith(_OF_AN_HOUR)}
    assert recorded
    for record, expr in recorded.items():
        family = f"{record.replace(':', '_')}_total"
        assert expr == f"max without (instance, pod) (increase({family}[1h]))"
        assert BY_NAME[family].type == "counter"


# Those that are of each replica.
ON_THE_SERVICE = re.compile(r"Hpc(Aggregator\w+)")


@pytest.mark.parametrize("rule", alerts(), ids=title)
def test_alerts_on_jobs_and_storage_read_nothing_that_replicas_show_twice(rule: dict[str, Any]) -> None:
    if not ON_THE_SERVICE.fullmatch(rule["alert"]):
        assert all(name.startswith("hpc:") for name in names(rule["expr"]))


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_the_examples_of_the_docs_count_replicas_once(page: Path) -> None:
    """But for what is of each replica, and where the maximum over them is written out."""
    for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            raw = {name for name in re.findall(r"\bhpc_\w+", line.partition("#")[0]) if "hpc_aggregator" not in name}
            assert not raw or "without (instance, pod)" in line or line == "count(hpc_job_info)", line
