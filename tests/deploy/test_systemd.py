"""The units are what systemd understands, closed as far as they go, and agree with the flags."""

import re
import subprocess
from pathlib import Path

import pytest

from aggregator.app.ending import END_SECONDS
from aggregator.cli import MISTAKE
from aggregator.executors import ALL
from jobscript_ingest.cli import _parser
from tests.deploy.chart import ROOT
from tests.lab.packages import ensure_packages, program

UNITS = ROOT / "deploy" / "systemd"
NAMES = ("hpc-jobscript-ingest.service", "hpc-aggregator.service")
# In tenths; systemd calls up to 2.0 OK and its own unprotected services UNSAFE at 9.6.
EXPOSURE = 15


@pytest.fixture(params=NAMES)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Copy a unit with a program that is there in the place of the one that is not installed."""
    copy = tmp_path / str(request.param)
    copy.write_text(re.sub(r"/opt/hpc-aggregator/bin/[a-z-]+", "/bin/true", (UNITS / copy.name).read_text()))
    return copy


def analyze(*arguments: str) -> tuple[int, str]:
    ensure_packages(["systemd"])
    command = [program("systemd-analyze"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return result.returncode, result.stderr


def test_systemd_has_nothing_to_say(unit: Path) -> None:
    assert analyze("verify", "--man=no", str(unit)) == (0, "")


def test_systemd_says_what_is_wrong(unit: Path) -> None:
    """Silence means something."""
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=very"))

    assert "protect system" in analyze("verify", "--man=no", str(unit))[1]


def test_a_unit_is_closed_as_far_as_it_goes(unit: Path) -> None:
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(unit))[0] == 0
    assert analyze("security", "--offline=true", "--threshold=5", str(unit))[0] != 0, "the threshold is looked at"


def test_the_agents_unit_gives_flags_that_the_agent_has() -> None:
    text = (UNITS / "hpc-jobscript-ingest.service").read_text()
    given = re.findall(r"^ +(--[a-z.-]+=\S+) \\$", text, re.MULTILINE)

    flags = _parser().parse_args([flag.replace("${", "x").replace("}", "") if "url" not in flag else
                                  "--aggregator.url=https://x" for flag in given])  # fmt: skip

    assert len(given) == 5
    assert flags.cluster == "xCLUSTER"


def test_the_spool_is_in_the_units_state_directory() -> None:
    text = (UNITS / "hpc-jobscript-ingest.service").read_text()

    (name,) = re.findall(r"^StateDirectory=(\S+)$", text, re.MULTILINE)
    assert _parser().get_default("spool") == f"/var/lib/{name}/spool.db"


def test_systemd_restarts_what_hangs_and_not_what_is_configured_wrongly() -> None:
    text = (UNITS / "hpc-aggregator.service").read_text()
    said = dict(re.findall(r"^(\w+)=(\S+)$", text, re.MULTILINE))

    assert (said["Type"], said["Restart"]) == ("notify", "on-failure")
    assert int(said["RestartPreventExitStatus"]) == MISTAKE
    assert int(said["WatchdogSec"]) > 0
    assert int(said["TimeoutStopSec"]) > END_SECONDS
    assert int(said["TasksMax"]) > 2 * sum(threads.count for threads in ALL)
