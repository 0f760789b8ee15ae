"""The examples of the documentation: those of `/docs` are answers of the demo; those of two pages are run."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonata import Jsonata

from aggregator.app.lists import lists_of
from tests.scenarios.demo import CLUSTER, Demo, paths, routes
from tests.scenarios.openapi import Declared

ROOT = Path(__file__).parents[2]
FILE = ROOT / "aggregator" / "api" / "examples.json"
_LONGEST = 200
AT = 1_750_000_000.0
# How long something took, and what is of this edition.
_OF_THE_RUN = {"duration_seconds", "version"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), at=AT)
    try:
        running.start()
        running.wait_caught_up(AT)
        yield running
    finally:
        running.service.stop()


def shortened(value: Any) -> Any:
    """Keep of lists the first thing, of texts the beginning."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value[:1]] if not value or isinstance(value[0], dict | list) else value[:3]
    return value[:_LONGEST] if isinstance(value, str) else value


def differences(value: Any, golden: Any, at: str) -> Iterator[str]:
    """Say where an answer is not what it was: sums differ in their last digits."""
    if isinstance(value, dict) and isinstance(golden, dict) and value.keys() == golden.keys():
        for name in value.keys() - _OF_THE_RUN:
            yield from differences(value[name], golden[name], f"{at}.{name}")
    elif isinstance(value, list) and isinstance(golden, list) and len(value) == len(golden):
        for number, (own, was) in enumerate(zip(value, golden, strict=True)):
            yield from differences(own, was, f"{at}[{number}]")
    elif value != (pytest.approx(golden, rel=1e-9) if isinstance(golden, float) else golden):
        yield f"{at}: {value!r}, and was {golden!r}"


def asked(demo: Demo, pattern: str) -> Any:
    """Give the first answer of a path, of a graph the lines, of advice the first that has some."""
    found = list(paths(demo, pattern))
    if pattern.endswith("/advice"):
        found.sort(key=lambda path: not demo.data(path)["changes"])
    drawn = [
        f"{path}?metric={graph['metric']}"
        for path in (found if pattern.endswith("/series") else ())
        for graph in demo.data(path)["metrics"][:1]
    ]
    return shortened(json.loads(demo.service.get((drawn or found)[0])[1]))


@pytest.fixture(scope="module")
def found(demo: Demo) -> dict[str, Any]:
    """Ask each path once."""
    return {pattern: asked(demo, pattern) for pattern in routes() if pattern.startswith("/api/")}


def test_each_path_answers_what_it_did(found: dict[str, Any], update_golden: bool) -> None:
    """A field that has the value of another is noticed."""
    if update_golden:
        FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    examples = json.loads(FILE.read_text())
    assert examples.keys() == found.keys(), "run pytest tests/scenarios/test_examples.py --update-golden"
    assert [each for path, example in examples.items() for each in differences(found[path], example, path)] == []


def test_another_replica_answers_the_same(demo: Demo, tmp_path: Path) -> None:
    """All rows, in one order: a client that is sent from one replica to the other has what it had."""
    other = Demo(tmp_path, at=AT)
    try:
        other.start()
        other.wait_caught_up(AT)
        for pattern in (each.path for each in lists_of()):
            path = next(paths(demo, pattern))
            own, theirs = (each.data(f"{path}{'&' if '?' in path else '?'}limit=1000") for each in (demo, other))
            assert list(differences(theirs, own, path)) == []
    finally:
        other.service.stop()


def test_each_example_is_what_is_declared(demo: Demo) -> None:
    declared, examples = Declared(json.loads(demo.service.get("/openapi.json")[1])), json.loads(FILE.read_text())
    assert [each for path, example in examples.items() for each in declared.problems(path, example)] == []


PAGES = ("api.md", "tutorial.md")
COMMANDS = [
    command
    for page in PAGES
    for command in re.findall(r"^\$ ((?:curl|hpc-aggregator) .*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
]
# As the tutorial defines it: the demo needs no installation.
_COMMAND = f'hpc-aggregator() {{ {shlex.quote(sys.executable)} -m aggregator "$@"; }}\n'


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_gives_what_it_says(demo: Demo, command: str) -> None:
    (job,) = demo.data(f"{CLUSTER}/jobs?reason=gpu_unused&limit=1")["jobs"]
    (user,) = demo.data(f"{CLUSTER}/jobs?group_by=user&sort=-wasted_gpus&limit=1")["jobs"]
    told = {"URL": demo.service.url, "USER": user["user"], "JOB": str(job["job_id"])}
    bash, environment = ["bash", "-c", _COMMAND + command], {**os.environ, **told}
    done = subprocess.run(bash, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    if command.startswith("hpc-aggregator explain"):
        assert done.stdout.startswith(f"Job {job['id']} is accused of gpu_unused")
    elif "/metrics" in command:
        assert {line.partition("_")[0] for line in done.stdout.splitlines()} == {"hpc"}
    elif "format=csv" in command:
        header, *rows = done.stdout.splitlines()
        assert "timeouts_ratio" in header.split(",")
        assert rows
    else:
        data = json.loads(done.stdout)["data"]
        assert any(data.get(name) for name in ("jobs", "metrics", "result", "runs"))


def test_the_client_prints_who_wastes_and_what_would_help(demo: Demo) -> None:
    script = ROOT / "docs" / "examples" / "api_client.py"
    environment = {**os.environ, "URL": demo.service.url, "CLUSTER": "demo"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    users = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert len(users) == 3
    assert len(done.stdout.splitlines()) > len(users)


def test_the_panel_draws_what_the_service_answers(demo: Demo) -> None:
    """Its root selector makes a row of each point: what Grafana itself does with rows is its own."""
    panel = json.loads((ROOT / "docs" / "examples" / "grafana-panel.json").read_text())
    (target,) = panel["targets"]
    (job,) = demo.data(f"{CLUSTER}/jobs?state=running&sort=start_timestamp_seconds&limit=1")["jobs"]
    variables = {
        "cluster": "demo",
        "job": str(job["job_id"]),
        "__from:date:seconds": "now-1h",
        "__to:date:seconds": "now",
    }
    asked = "&".join(f"{each['key']}={each['value']}" for each in target["url_options"]["params"])
    path = re.sub(r"\$\{([^}]+)\}", lambda name: variables[name[1]], f"{target['url']}?{asked}")
    answer = json.loads(demo.service.get(path)[1])
    rows = Jsonata(target["root_selector"]).evaluate(answer)
    assert len(rows) == sum(len(line["values"]) for line in answer["data"]["result"]) > 0
    names = {" ".join(line["metric"].values()) for line in answer["data"]["result"]}
    assert {row["line"] for row in rows} == names
    first, number = answer["data"]["result"][0]["values"][0]
    assert rows[0] == {"time": first * 1000, "value": float(number), "line": rows[0]["line"]}
    assert {column["selector"] for column in target["columns"]} == rows[0].keys()


def test_there_are_commands_to_run() -> None:
    assert len(COMMANDS) >= 4 + 7
