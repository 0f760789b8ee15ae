"""What a value's `source` calls a metric: as the site has stored it."""

import re
from collections.abc import Mapping
from typing import Any


def as_stored(data: Any, names: Mapping[str, str]) -> Any:
    """Write the site's names of metrics into every `source` of an answer; names has them by the exporters' own."""
    if not names:
        return data
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, names)) + r")\b")
    return _walk(data, lambda text: pattern.sub(lambda found: names[found[0]], text))


def _walk(data: Any, write: Any) -> Any:
    if isinstance(data, dict):
        return {
            key: write(value) if key == "source" and isinstance(value, str) else _walk(value, write)
            for key, value in data.items()
        }
    return [_walk(value, write) for value in data] if isinstance(data, list | tuple) else data
