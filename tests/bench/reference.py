"""prometheus_client as it would be used in our place: the samples of a page, made into families and text by it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n"}


@dataclass(slots=True)
class _Family:
    """A family as its page has it; a row is the sample's name, its labels' names and values, and its value."""

    name: str
    help: str
    kind: str = "untyped"
    rows: list[tuple[str, tuple[str, ...], tuple[str, ...], float]] = field(default_factory=list)


class Page:
    """Collect the families of a page of the text format 0.0.4, anew at each scrape."""

    def __init__(self, page: str) -> None:
        self.families = list(_families(page.splitlines()))

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in self.families:
            metric = Metric(family.name, family.help, family.kind)
            for name, names, values, value in family.rows:
                # As the classes of prometheus_client do for each sample.
                metric.samples.append(Sample(name, dict(zip(names, values, strict=True)), value))
            yield metric

    def registry(self) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry


def _families(lines: Iterable[str]) -> Iterator[_Family]:
    family: _Family | None = None
    for line in lines:
        if line.startswith("# HELP "):
            if family:
                yield family
            _, _, name, text = line.split(" ", 3)
            family = _Family(name, text)
        elif line.startswith("# TYPE ") and family:
            family.kind = line.rpartition(" ")[2]
            if family.kind == "counter":
                # Which the text format 0.0.4 says in the family's name, and prometheus_client does not.
                family.name = family.name.removesuffix("_total")
        elif family and (sample := _SAMPLE.fullmatch(line)):
            found = _LABEL.findall(sample[2] or "")
            names, values = tuple(name for name, _ in found), tuple(_unescaped(value) for _, value in found)
            family.rows.append((sample[1], names, values, float(sample[3])))
    if family:
        yield family


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: _MEANT.get(match[1], match[1]), text) if "\\" in text else text
