"""What is wrong in a configuration file, said so that it can be corrected."""

import json
import re
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""The keys and list positions that lead to a value."""

_PLAIN_KEY = re.compile(r"[\w$-]+")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Say what one key of a file must be; line is None when the file could not be read."""

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """Carry every mistake of a configuration, in the order of its lines."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def format_path(path: KeyPath) -> str:
    """Write a path as `clusters.narval.slurmacct.port` or `auth.trusted_proxy.networks[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{format_key(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def format_key(key: str) -> str:
    """Quote a key that is not a plain word, so that a message stays on one line."""
    return key if _PLAIN_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
