"""The rule files and the tools that check them."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from aggregator.pages import routes as pages
from tests.lab.packages import program

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules"
# What the alerts read: loaded with them.
OWN = RULES / "recording" / "hpc.yml"
# The paths of the service's pages, with {} for each parameter.
PAGES = {re.sub(r"\{\w+\}", "{}", page.route.path) for page in pages.PAGES}
ALERTMANAGER = RULES / "alertmanager.example.yml"


def rule_files(kind: str = "*") -> list[Path]:
    return sorted(path for path in RULES.glob(f"{kind}/*.yml") if path.parent.name in {"recording", "alerts"})


def rules(kind: str = "*") -> Iterator[dict[str, Any]]:
    for path in rule_files(kind):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    return list(rules("alerts"))


def run(name: str, *args: str | Path) -> str:
    """Run a tool; its output, or the test's failure with it."""
    done = subprocess.run([program(name), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def backfill(root: Path, openmetrics: Iterable[str]) -> None:
    """Write samples into the data of the Prometheus that is about to start in *root*."""
    data = root / "prometheus" / "data"
    data.mkdir(parents=True)
    (root / "samples.txt").write_text("\n".join(openmetrics))
    # It reads the file once for each block: of two hours they are hundreds.
    flags = ("openmetrics", "--max-block-duration=1000h")
    run("promtool", "tsdb", "create-blocks-from", *flags, root / "samples.txt", data)
