"""How `check` says what it found: lines for people, or one JSON document."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from aggregator.document.mistake import ConfigError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying one thing: `said` of it, warnings, or the error, which begins with the key to fix."""

    what: str
    said: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a check of a file; outcomes are None unless it was to connect, rules is how many are active."""

    file: str
    warnings: Sequence[str] = ()
    outcomes: Sequence[Outcome] | None = None
    rules: int = 0

    @property
    def failures(self) -> int:
        """Give how many things that were tried failed."""
        return sum(bool(outcome.error) for outcome in self.outcomes or ())

    def print_text(self) -> None:
        """Print a line for each thing that was tried and each warning, and a last one that sums up."""
        for warning in self.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for outcome in self.outcomes or ():
            said = f"{outcome.what}: {outcome.said}" if outcome.said else outcome.what
            print(f"down {outcome.error}" if outcome.error else f"up   {said}")
            for warning in outcome.warnings:
                print(f"warn {outcome.what}: {warning}")
        if self.failures:
            print(f"{self.file}: {self.failures} of {len(self.outcomes or ())} checks failed")
        else:
            print(f"{self.file}: no mistakes, {self.rules} rules of waste are active")

    def print_json(self) -> None:
        """Print the same as one document."""
        tried = [{"up": not outcome.error, **asdict(outcome)} for outcome in self.outcomes or ()]
        _dump(self.file, not self.failures, warnings=list(self.warnings), checks=tried)


def print_mistakes(file: str, error: Exception) -> None:
    """Print why a configuration cannot be used as a JSON document."""
    if isinstance(error, ConfigError):
        mistakes = [asdict(mistake) for mistake in error.mistakes]
    else:
        mistakes = [{"file": file, "line": None, "path": "", "message": str(error)}]
    _dump(file, False, mistakes=mistakes)


def _dump(file: str, ok: bool, **more: object) -> None:
    print(json.dumps({"file": file, "ok": ok, "mistakes": [], "warnings": [], "checks": [], **more}, indent=2))
