"""The shape of a page: its metrics, and which labels their samples have."""

import re

from tests.lab.exporters.text import read


def shape(page: str) -> dict[str, tuple[str, set[tuple[str, ...]]]]:
    """Give each metric's type and its samples' labels: those with an empty value end in `=`."""
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    labels: dict[str, set[tuple[str, ...]]] = {}
    for name, found, _ in read(page):
        shown = tuple(sorted(label if value else f"{label}=" for label, value in found.items()))
        labels.setdefault(name, set()).add(shown)
    return {name: (types[name], found) for name, found in labels.items()}


def helps(page: str) -> dict[str, str]:
    """Give the help of each metric."""
    return dict(re.findall(r"^# HELP (\w+) (.*)$", page, re.MULTILINE))
