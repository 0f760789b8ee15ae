"""What a value's `source` calls a metric: as the site has stored it."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

# Gives what a cluster's sources are called, by what they are called by default, where that differs.
STORED = web.AppKey[Callable[[str], Mapping[str, str]]]("stored")


def as_stored(data: Any, names: Mapping[str, str]) -> Any:
    """Write the site's names into every `source` of an answer, which may be made of several; names has them."""
    if not names:
        return data
    pattern = re.compile("|".join(map(re.escape, names)))
    return _walk(data, lambda text: pattern.sub(lambda found: names[found[0]], text))


def _walk(data: Any, write: Callable[[str], str]) -> Any:
    if isinstance(data, dict):
        return {
            key: write(value) if key == "source" and isinstance(value, str) else _walk(value, write)
            for key, value in data.items()
        }
    return [_walk(value, write) for value in data] if isinstance(data, list | tuple) else data
