"""Pages as client_golang writes them: families, labels and samples in order, numbers as short as they go.

They are read here as well, with names as they are: prometheus_client's parser has `_total` behind every counter.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

_LINE = re.compile(r"([a-zA-Z_]\w*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Family:
    """One metric: its type as the exporter declares it, which need not be what its values are."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def go_page(families: Iterable[Family]) -> str:
    """Write a page; a family without samples has no lines."""
    shown = sorted((family for family in families if family.samples), key=lambda family: family.name)
    return "".join(f"{heading(family)}{''.join(_lines(family))}" for family in shown)


def read(page: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the samples of a page."""
    for match in filter(None, map(_LINE.fullmatch, page.split("\n"))):
        labels = {
            name: re.sub(r"\\.", lambda found: _ESCAPED[found[0]], value)
            for name, value in _LABEL.findall(match[2] or "")
        }
        yield match[1], labels, float(match[3])


def heading(family: Family) -> str:
    """Write what comes before a family's samples."""
    return f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"


def line(name: str, labels: Iterable[tuple[str, str]], number: str) -> str:
    """Write one sample, with its labels in the order given."""
    text = ",".join(f'{label}="{_escape(value)}"' for label, value in labels)
    return f"{name}{{{text}}} {number}\n" if text else f"{name} {number}\n"


def go_number(value: float) -> str:
    """Write a number as Go's shortest `%g` does: 1e+06 from a million on."""
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1
    if -4 <= power < 6:
        return format(Decimal(repr(float(value))).normalize(), "f")
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    return f"{'-' * sign}{first}{'.' + rest if rest else ''}e{power:+03d}"


def _lines(family: Family) -> list[str]:
    ordered = sorted(((sorted(labels.items()), value) for labels, value in family.samples), key=lambda each: each[0])
    return [line(family.name, labels, go_number(value)) for labels, value in ordered]


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
