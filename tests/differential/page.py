"""Two pages of /metrics, compared sample by sample, whatever the order of lines and labels."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# What both editions add up in another order may differ in the last digits.
TOLERANCE = 1e-9
_TYPE = "# TYPE "
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one of the pages has otherwise: its values as they are written, none where the page has no such sample.

    *family* is the name as on the line, such as `x_bucket`; a type that differs is a sample of the name `# TYPE x`.
    """

    family: str
    labels: Labels
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def is_of_value(self) -> bool:
        """Whether both pages have the sample once: only its value differs."""
        return len(self.old) == len(self.new) == 1

    def __str__(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.family}{{{labels}}}  old: {_written(self.old)}  new: {_written(self.new)}"


def _written(values: tuple[str, ...]) -> str:
    return " and ".join(values) or "no sample"


def samples(text: str) -> Counter[str]:
    """Count the samples of a page by their names."""
    return Counter(re.split(r"[{ ]", line, maxsplit=1)[0] for line in _lines(text) if line[0] != "#")


def families(text: str) -> set[str]:
    """Give the families of a page that have a head, whether or not a sample follows."""
    return {line.split()[2] for line in _lines(text) if line[0] == "#"}


def differences(old: str, new: str) -> list[Difference]:
    """List what differs between two pages; help texts are not compared."""
    before, after = Counter(_lines(old)), Counter(_lines(new))
    # Most lines are the same to the letter: only the others are worth reading.
    ours, theirs = _read((before - after).elements()), _read((after - before).elements())
    return [
        Difference(*key, tuple(ours[key]), tuple(theirs[key]))
        for key in sorted(ours.keys() | theirs.keys())
        if not _same(ours[key], theirs[key])
    ]


def _lines(text: str) -> Iterator[str]:
    """Give the lines of samples and types; a label may have any other character that ends a line for Python."""
    return (line for line in text.split("\n") if line.startswith(_TYPE) or line[:1] not in ("#", ""))


def _read(lines: Iterable[str]) -> Mapping[Key, list[str]]:
    found: dict[Key, list[str]] = defaultdict(list)
    for line in lines:
        if line.startswith(_TYPE):
            name, _, kind = line.rpartition(" ")
            found[name, ()].append(kind)
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None:
            raise ValueError(f"no sample: {line!r}")
        # A label with an empty value is as good as none.
        labels = sorted((name, value) for name, value in _LABEL.findall(match[2] or "") if value)
        found[match[1], tuple(labels)].append(match[3])
    return found


def _same(old: list[str], new: list[str]) -> bool:
    return len(old) == len(new) and all(map(_equal, sorted(old), sorted(new)))


def _equal(old: str, new: str) -> bool:
    try:
        one, other = float(old), float(new)
    except ValueError:  # a type
        return old == new
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))
