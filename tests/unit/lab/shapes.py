"""The shape of a page: its metrics, and which labels their samples have."""

import re

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Labels = dict[str, str]


def samples(page: str) -> list[tuple[str, Labels, float]]:
    """Read the samples of a page."""
    found = [match for line in page.splitlines() if (match := _SAMPLE.fullmatch(line))]
    return [
        (name, dict(_LABEL.findall(labels or "")), float(value)) for name, labels, value in map(re.Match.groups, found)
    ]


def shape(page: str) -> dict[str, tuple[str, set[tuple[str, ...]]]]:
    """Give each metric's type and its samples' labels: those with an empty value end in `=`."""
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    labels: dict[str, set[tuple[str, ...]]] = {}
    for name, found, _ in samples(page):
        shown = tuple(sorted(label if value else f"{label}=" for label, value in found.items()))
        labels.setdefault(name, set()).add(shown)
    return {name: (types[name], found) for name, found in labels.items()}


def helps(page: str) -> dict[str, str]:
    """Give the help of each metric."""
    return dict(re.findall(r"^# HELP (\w+) (.*)$", page, re.MULTILINE))
