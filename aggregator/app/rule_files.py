"""`rules`: write the rules and boards that belong to this version."""

import json
import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import aggregator
from aggregator.app.errors import CommandError

# What is left out are their tests.
_FOLDERS = {"recording": "*.yml", "alerts": "*.yml", "dashboards": "*.json"}
_EXAMPLE = "alertmanager.example.yml"
# Where the links of the boards lead as they are shipped.
_EXAMPLE_URL = "https://hpc.example.org/aggregator"


class RulesError(CommandError):
    """The rules cannot be written."""


def shipped_rules() -> dict[str, str]:
    """Give the text of each file by its path below the folder of rules."""
    # In a wheel they are in the package, in a check-out beside it.
    places = (Path(str(files(aggregator))) / "rules", Path(str(files(aggregator))).parent / "rules")
    folder = next((place for place in places if (place / "alerts").is_dir()), None)
    if folder is None:
        raise RulesError(
            "this installation has no rules: install the wheel, or take the folder rules of the repository"
        )
    found = [file for name, pattern in _FOLDERS.items() for file in sorted((folder / name).glob(pattern))]
    return {str(file.relative_to(folder)): file.read_text() for file in [*found, folder / _EXAMPLE]}


def write_rules(folder: Path, url: str) -> Iterator[str]:
    """Write every file below a folder, and tell of each whether it is new, changed or as it was.

    The boards' links begin with `url`. A file is replaced at once, since Prometheus may read it at any time.

    Raises RulesError.
    """
    address = json.dumps(url.rstrip("/") or _EXAMPLE_URL)[1:-1]
    for name, text in shipped_rules().items():
        target = folder / name
        linked = text.replace(_EXAMPLE_URL, address) if target.suffix == ".json" else text
        try:
            yield f"{_write(target, linked)} {target}"
        except OSError as error:
            raise RulesError(f"--output: cannot write {target}: {error.strerror}") from error


def _write(target: Path, text: str) -> str:
    before = target.read_text() if target.exists() else None
    if before == text:
        return "unchanged"
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    new.write_text(text)
    os.replace(new, target)
    return "new      " if before is None else "changed  "
