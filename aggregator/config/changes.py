"""Which keys two configurations differ in, and which of them a running service cannot take up."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from aggregator.document.section import Section

RESTART: Final = (
    "server.listen_address",
    *("state.url", "state.password", "state.password_file"),
    *("state.tls", "state.tls.ca_file", "state.tls.cert_file", "state.tls.key_file", "state.tls.insecure_skip_verify"),
)
"""Keys that are read at the start only. Every other key is taken up by a reload."""


def changed_keys(old: object, new: object, path: str = "") -> Iterator[str]:
    """Name the keys that differ, as `clusters.narval.slurmacct.port`; a section that one side lacks by its own name."""
    before, after = _items(old), _items(new)
    if before is None or after is None or type(old) is not type(new):
        if old != new:
            yield path
        return
    for key in dict.fromkeys((*before, *after)):
        yield from changed_keys(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))


def needs_restart(running: Section, new: Section, keys: Collection[str] = RESTART) -> tuple[str, ...]:
    """Name those of the keys whose new value is not in force before a restart."""
    return tuple(key for key in changed_keys(running, new) if key in keys)


def _items(value: object) -> Mapping[str, Any] | None:
    if isinstance(value, Section):
        return dict(value)
    return value if isinstance(value, Mapping) else None
