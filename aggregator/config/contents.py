"""What stands in the files that a configuration names: a reload must see that one has changed."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from aggregator.document.secrets import SecretFile


def digests(value: object) -> dict[Path, str]:
    """Give a digest of each file that a section names, certificates and secrets alike; "" for one that is not there."""
    return {path: _digest(path) for path in _files(value)}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _files(value: object) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, SecretFile):
        yield value.path
    else:
        for item in _items(value):
            yield from _files(item)


def _items(value: object) -> Iterable[object]:
    if isinstance(value, BaseModel):
        return (item for _, item in value)
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, tuple) else ()
