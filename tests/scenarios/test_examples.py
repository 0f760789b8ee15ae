"""The examples of the documentation: those of `/docs` are answers of the demo, those of docs/api.md are run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.demo import CLUSTER, Demo, paths, routes
from tests.scenarios.openapi import Declared

ROOT = Path(__file__).parents[2]
FILE = ROOT / "aggregator" / "api" / "examples.json"
_LONGEST = 200


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), "--jobs=300")
    try:
        running.start()
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


def asked(demo: Demo, pattern: str) -> Any:
    """Give the first answer of a path, of a graph the lines."""
    found = list(paths(demo, pattern))
    drawn = [
        f"{path}?metric={graph['metric']}"
        for path in (found if pattern.endswith("/series") else ())
        for graph in demo.data(path)["metrics"][:1]
    ]
    return shortened(json.loads(demo.service.get((drawn or found)[0])[1]))


def test_each_path_has_an_example_that_is_what_is_declared(demo: Demo, request: pytest.FixtureRequest) -> None:
    patterns = [each for each in routes() if each.startswith("/api/")]
    if request.config.getoption("--update-golden"):
        found = {pattern: asked(demo, pattern) for pattern in patterns}
        FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    declared, examples = Declared(json.loads(demo.service.get("/openapi.json")[1])), json.loads(FILE.read_text())
    assert examples.keys() == set(patterns), "run pytest tests/scenarios/test_examples.py --update-golden"
    assert [each for path, example in examples.items() for each in declared.problems(path, example)] == []


COMMANDS = re.findall(r"^\$ (curl .*)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_gives_what_it_says(demo: Demo, command: str) -> None:
    (job,) = demo.data(f"{CLUSTER}/jobs?state=running&sort=start_timestamp_seconds&limit=1")["jobs"]
    (user,) = demo.data(f"{CLUSTER}/jobs?group_by=user&sort=-wasted_gpus&limit=1")["jobs"]
    told = {"URL": demo.service.url, "USER": user["user"], "JOB": str(job["job_id"])}
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, **told}, capture_output=True, text=True, check=True
    )
    if "format=csv" in command:
        header, *rows = done.stdout.splitlines()
        assert "timeouts_ratio" in header.split(",")
        assert rows
        return
    data = json.loads(done.stdout)["data"]
    assert data["result"] if "series" in command else data["jobs"]


def test_the_client_prints_who_wastes_and_what_would_help(demo: Demo) -> None:
    script = ROOT / "docs" / "examples" / "api_client.py"
    environment = {**os.environ, "URL": demo.service.url, "CLUSTER": "demo"}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    users = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert len(users) == 3
    assert len(done.stdout.splitlines()) > len(users)


def test_there_are_commands_to_run() -> None:
    assert len(COMMANDS) >= 4
