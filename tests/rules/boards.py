"""The shipped boards, read as Grafana reads them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.rules.files import RULES

FOLDER = RULES / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
# What Grafana puts in place of these for the newest ten minutes.
TIMES = {"__range": "10m", "__interval": "1s", "__interval_ms": "1000", "__rate_interval": "1m"}


@cache
def board(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


@dataclass(frozen=True)
class Query:
    """One query of a panel of a board."""

    board: str
    panel: str
    kind: str
    letter: str
    expr: str
    legend: str

    def __str__(self) -> str:
        return f"{self.board}: {self.panel} {self.letter}"

    def filled(self, values: Mapping[str, str]) -> str:
        return filled(self.expr, values)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of variables; one that has none is an error."""
    known = {**TIMES, **values}
    return re.sub(r"\$(\w+)", lambda name: known[name[1]], text)


def panels(path: Path) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board(path)["panels"] if panel["type"] != "row")


def queries() -> Iterator[Query]:
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                yield Query(
                    path.stem, panel["title"], panel["type"], target["refId"], target["expr"],
                    target.get("legendFormat", ""),
                )  # fmt: skip


def variables(path: Path) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in board(path)["templating"]["list"]}


def choices() -> Iterator[tuple[str, str, str]]:
    """Give the variables that are chosen from: name, series and label."""
    for path in FILES:
        for name, each in variables(path).items():
            if each["type"] == "query":
                asked = re.fullmatch(r"label_values\((.*), (\w+)\)", each["query"]["query"])
                assert asked, name
                yield name, asked[1], asked[2]


def strings(node: Any) -> Iterator[str]:
    """Give all texts anywhere in a board."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from (text for value in node.values() for text in strings(value))
    elif isinstance(node, list):
        yield from (text for value in node for text in strings(value))
