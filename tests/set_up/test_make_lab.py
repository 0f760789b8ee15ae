"""`make lab`: what somebody finds who looks at the product for the first time."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from tests.lab import wait_until

pytestmark = pytest.mark.lab

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = [yaml.safe_load(path.read_text()) for path in (REPOSITORY / "rules" / "recording").glob("*.yml")]


@pytest.fixture(scope="module")
def started() -> Iterator["subprocess.Popen[str]"]:
    """Start it as `make lab` does; it has started when its table begins."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab"], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def places(started: "subprocess.Popen[str]") -> dict[str, str]:
    """Give its table: what there is → where."""
    assert started.stdout
    return dict(_rows(started.stdout))


def _rows(output: IO[str]) -> Iterator[tuple[str, str]]:
    for line in output:
        name, _, place = line.strip().partition("  ")
        yield name, place.strip()
        if name == "Slurm":
            return


def ask(url: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return json.load(answer)


def test_every_recording_rule_that_is_shipped_is_evaluated(places: dict[str, str]) -> None:
    shipped = {rule["record"] for file in RULES for group in file["groups"] for rule in group["rules"]}

    def evaluated() -> dict[str, str]:
        groups = ask(f"{places['Prometheus']}/api/v1/rules?type=record")["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    assert shipped
    wait_until(lambda: evaluated().keys() >= shipped and set(evaluated().values()) == {"ok"}, 60, "the rules")


def test_what_a_portal_reads_is_there(places: dict[str, str]) -> None:
    def series(name: str) -> Any:
        return ask(f"{places['Prometheus']}/api/v1/query?query={name}")["data"]["result"]

    for name in ("slurm_job:used_core:sum_user_account", "lustre:read_bytes:rate3m", "hpc_job_info"):
        wait_until(lambda name=name: bool(series(name)), 60, name)  # type: ignore[misc]


def test_the_service_answers_at_the_place_that_is_said(places: dict[str, str]) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", places["service"])
    assert ask(f"{places['service']}/api/v1/clusters")["status"] == "success"


def test_ctrl_c_ends_it(started: "subprocess.Popen[str]", places: dict[str, str]) -> None:
    started.send_signal(signal.SIGINT)
    assert started.wait(60) == 0
