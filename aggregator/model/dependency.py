"""What a job waits for, read from the line with which it was submitted (sbatch's --dependency)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aggregator.model.jobid import JobId, JobIdError, parse_job_id

SINGLETON: Final = "singleton"
_TYPES: Final = frozenset({
    "after", "afterany", "afterburstbuffer", "aftercorr", "afternotok", "afterok", "expand",
})  # fmt: skip
# getopt takes any abbreviation that no other option of sbatch begins with.
_LONG: Final = re.compile(r"--dep(?:e(?:n(?:d(?:e(?:n(?:c(?:y)?)?)?)?)?)?)?", re.ASCII)
_DELAY: Final = re.compile(r"\d{1,9}", re.ASCII)
MAX_DEPENDENCIES: Final = 100


@dataclass(frozen=True, slots=True)
class Dependency:
    """One condition. minutes is the delay of `after:id+minutes`.

    job is None for `singleton` while it is not known for whom it waits.
    """

    type: str
    job: JobId | None = None
    minutes: int = 0

    def is_on(self, job_ids: frozenset[JobId]) -> bool:
        """Tell whether it is on a job that goes by one of these ids."""
        return self.job in job_ids


def submitted_dependencies(line: str) -> tuple[Dependency, ...]:
    """Read the dependencies from a submit line; the last option counts, and what is not understood is left out.

    Slurm joins the words of the command without quotes. What follows --wrap is the script's own.
    """
    found: tuple[Dependency, ...] = ()
    for value in _values(line.split()):
        found = parse_dependency(value) or found
    return found


def _values(words: list[str]) -> Iterator[str]:
    """Give what each -d or --dependency of the command is set to."""
    for place, word in enumerate(words):
        option, separator, value = word.partition("=")
        if option in ("--wrap", "--"):
            return
        following = words[place + 1] if place + 1 < len(words) else ""
        if _LONG.fullmatch(option):
            yield value if separator else following
        elif word == "-d":
            yield following
        elif word.startswith("-d"):
            yield word.removeprefix("-d")


def parse_dependency(text: str) -> tuple[Dependency, ...]:
    """Parse `afterok:1:2_3,after:4+10,singleton` (`?` instead of commas: any of them); () for what is none."""
    found: list[Dependency] = []
    for part in re.split(r"[,?]", text):
        kind, _, ids = part.partition(":")
        kind = kind.lower()
        if kind == SINGLETON and not ids:
            found.append(Dependency(SINGLETON))
        elif kind in _TYPES:
            found += filter(None, (_on(kind, each) for each in ids.split(":")))
    return tuple(dict.fromkeys(found))[:MAX_DEPENDENCIES]


def _on(kind: str, text: str) -> Dependency | None:
    name, plus, delay = text.partition("+")
    if plus and not _DELAY.fullmatch(delay):
        return None
    try:
        return Dependency(kind, parse_job_id(name), int(delay) if plus else 0)
    except JobIdError:
        return None
