"""The result of a run as a table of text, as JSON, and as the page in docs/."""

import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aggregator
from aggregator.build import revision
from tests.bench.figures import Figure, Measure, Point, Ratio, Row
from tests.bench.measures import MEASURES
from tests.bench.sizes import Sizes

_WIDTHS = (46, 10, 11, 10, 9, 4)
_HEAD = ("measure", "ours", "reference", "ratio", "target", "met")
_MET = {True: "yes", False: "no", None: "–"}
_UNMEASURED = "–"


class Result:
    """The rows and the cost curve of a run; when, where, by which edition and at which sizes it was made."""

    def __init__(self, figures: Mapping[str, Figure], curve: Sequence[Point], sizes: Sizes, load: float) -> None:
        """*load* is the machine's load average before the run: what else there was to do."""
        self.rows = [
            Row(measure, figures.get(measure.key, Figure(note="not measured in this run"))) for measure in MEASURES
        ]
        self.curve = curve
        self.sizes = sizes
        self.date = datetime.now(UTC).date().isoformat()
        self.edition = f"{aggregator.__version__} ({commit()})"
        self.machine = machine()
        self.load = load

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> "Result":
        """Make the result that `json` gave; what has become a row since was not measured."""
        figures = {row["key"]: Figure(row["ours"], row["reference"], row["note"]) for row in found["rows"]}
        sizes = Sizes(**{**found["sizes"], "curve": tuple(found["sizes"]["curve"])})
        result = cls(figures, [Point(**point) for point in found["curve"]], sizes, found["load"])
        result.date, result.edition, result.machine = found["date"], found["edition"], found["machine"]
        return result

    def json(self) -> dict[str, Any]:
        """Give all of it for a file."""
        return {
            "date": self.date, "edition": self.edition, "machine": self.machine, "load": self.load,
            "sizes": asdict(self.sizes),
            "rows": [
                {"key": row.measure.key, "name": row.measure.name, "unit": row.measure.unit, **row.figure._asdict(),
                 "ratio": row.ratio, "target": target_of(row.measure), "met": row.met}
                for row in self.rows
            ],
            "curve": [point._asdict() for point in self.curve],
        }  # fmt: skip

    def text(self) -> str:
        """Give the table for a terminal."""
        lines = [f"{self.date}, {self.edition}, {self.machine}, load average before {self.load:.1f}", _line(_HEAD)]
        lines += [f"{_line(cells(row))}  {row.figure.note}".rstrip() for row in self.rows]
        lines += [
            "",
            f"{'running jobs':>12}{'all jobs':>10}{'samples':>11}{'CPU':>9}{'each job':>10}{'memory':>9}{'gzip':>9}",
        ]
        lines += [
            f"{point.jobs:>12,}{point.runs:>10,}{point.samples:>11,}{point.seconds:>7.2f} s"
            f"{point.seconds / point.jobs * 1e6:>7.1f} µs{point.memory:>6.0f} MB{point.page:>6.1f} MB"
            for point in self.curve
        ]
        return "\n".join(lines)


def machine() -> str:
    """Say which machine this is: processor, CPUs, memory, Python."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    model = models[0] if models else platform.machine()
    return f"{len(models) or 1} × {model}, {memory / 1e6:.0f} GB, Python {platform.python_version()}"


def commit() -> str:
    """Give the commit of the tree that is measured, or the revision of an installed one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else revision()


def _lines(path: str) -> Iterable[str]:
    return Path(path).read_text().splitlines()


def cells(row: Row) -> tuple[str, ...]:
    """Give a row's cells as text."""
    unit = row.measure.unit
    ratio = _UNMEASURED if row.ratio is None else f"{number(row.ratio)} ×"
    return (
        row.measure.name, amount(row.figure.ours, unit), amount(row.figure.reference, unit), ratio,
        target_of(row.measure), _MET[row.met],
    )  # fmt: skip


def target_of(measure: Measure) -> str:
    """Give the target as text: of the ratio where there is one."""
    unit = measure.unit if measure.ratio is Ratio.NONE else "×"
    return f"{measure.target.sign} {measure.target.bound:g} {unit}".rstrip()


def amount(value: float | None, unit: str) -> str:
    """Give a number with its unit, a dash for one that is not known."""
    return _UNMEASURED if value is None else f"{number(value)} {unit}".rstrip()


def number(value: float) -> str:
    """Give three digits of a number, and no more than it has."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 0.001 else f"{value:.1g}"


def _line(texts: Iterable[str]) -> str:
    name, *others = texts
    widths = iter(_WIDTHS)
    return f"{name:<{next(widths)}}" + "".join(f"{text:>{width}}" for text, width in zip(others, widths, strict=True))
