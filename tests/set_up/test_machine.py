"""Test runs on one machine do not get in each other's way."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import ports
from tests.lab.machine import alone

ROOT = Path(__file__).resolve().parents[2]
FIRST, LAST = 19000, 19500
ANOTHER = """
import sys
from tests.lab import ports
ports._FIRST, ports._LAST = {range}
print(*(ports.free_port() for _ in range({count})), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another_run() -> Iterator["subprocess.Popen[str]"]:
    """Start a process that takes half of the ports, and holds them until its input ends."""
    script = ANOTHER.format(range=(FIRST, LAST), count=(LAST - FIRST) // 2)
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.communicate()


def test_no_port_is_given_to_two_runs_even_before_anything_listens_there(
    another_run: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert another_run.stdout
    theirs = {int(port) for port in another_run.stdout.readline().split()}
    monkeypatch.setattr(ports, "_FIRST", FIRST)
    monkeypatch.setattr(ports, "_LAST", LAST)
    monkeypatch.setattr(ports, "_taken", set())
    ours = {ports.free_port() for _ in range((LAST - FIRST) // 4)}
    assert ours & theirs == set()


def test_a_port_is_free_again_when_its_run_has_ended(
    another_run: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert another_run.stdout
    theirs = {int(port) for port in another_run.stdout.readline().split()}
    another_run.kill()
    another_run.wait()
    monkeypatch.setattr(ports, "_FIRST", FIRST)
    monkeypatch.setattr(ports, "_LAST", LAST)
    monkeypatch.setattr(ports, "_taken", set(range(FIRST, LAST)) - theirs)
    assert {ports.free_port() for _ in theirs} == theirs


def test_what_one_run_does_alone_the_other_waits_for() -> None:
    script = 'from tests.lab.machine import alone\nwith alone("a test of this"):\n    print("in", flush=True)'
    with alone("a test of this"):
        other = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
    out, _ = other.communicate(timeout=60)
    assert (other.returncode, out) == (0, "in\n")
