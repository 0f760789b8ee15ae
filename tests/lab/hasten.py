"""Rules and routes as they are shipped, but in seconds: only durations change, never the structure."""

import re
from pathlib import Path
from typing import Any

import yaml

_DURATIONS = {"for", "interval", "group_wait", "group_interval", "repeat_interval"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def hasten(node: Any, factor: int) -> Any:
    """Divide the durations anywhere in rules or in Alertmanager's configuration by *factor*; one second at least."""
    if isinstance(node, list):
        return [hasten(item, factor) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _divided(value, factor) if key in _DURATIONS else hasten(value, factor) for key, value in node.items()}


def hastened_rules(path: Path, folder: Path, factor: int) -> Path:
    """Write a file of rules with durations divided by *factor* into *folder*."""
    written = folder / path.name
    written.write_text(yaml.safe_dump(hasten(yaml.safe_load(path.read_text()), factor), sort_keys=False))
    return written


def rules_with_window(path: Path, folder: Path, window: str) -> Path:
    """Write a file of rules with this window for every rate into *folder*: four scrapes, as at a site."""
    written = folder / path.name
    written.write_text(re.sub(r"\[\d+m\]", f"[{window}]", path.read_text()))
    return written


def _divided(duration: str, factor: int) -> str:
    parts = re.findall(r"(\d+)([smhd])", duration)
    assert "".join(number + unit for number, unit in parts) == duration, f"a duration of another form: {duration}"
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    return f"{max(1, round(seconds / factor))}s"
