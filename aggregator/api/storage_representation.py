"""How a file system looks in JSON: a pure function of its frames."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from aggregator.api.answer import Epoch, Time
from aggregator.api.representation import Json, times
from aggregator.engine.frame import totals
from aggregator.engine.view import View

_TIERS: Final = ("disk", "tape")


class OfFilesystemShown(TypedDict):
    """A file system, and how fresh its numbers are."""

    filesystem: str
    as_of_time: Time
    as_of_timestamp_seconds: Epoch
    updated_time: Time
    updated_timestamp_seconds: Epoch


class InodesShown(TypedDict):
    """Inodes of a type by tier."""

    type: str
    disk: int | None
    tape: int | None


class FilesystemShown(OfFilesystemShown):
    """The sums of a file system."""

    path: str | None
    hsm: bool | None
    scan_running: bool | None
    groups: int
    disk_used_bytes: int | None
    tape_used_bytes: int | None
    inodes: list[InodesShown]


def filesystem_json(view: View) -> Json:
    """Show one file system: how fresh its numbers are, and their sums."""
    facts = _facts(view)
    inodes = view["group_inodes"].group_by("type", maintain_order=True).agg(totals(_TIERS))
    used = view["groups"].select(totals(("disk_used_bytes", "tape_used_bytes")))
    return {
        **head_json(view),
        "path": facts.get("path") or None,
        "hsm": facts.get("hsm"),
        "scan_running": facts.get("scan_running"),
        "groups": view["groups"].height,
        **used.row(0, named=True),
        "inodes": inodes.to_dicts(),
    }


def head_json(view: View) -> Json:
    """Name a file system, and say how fresh its numbers are."""
    updated = _facts(view).get("updated_timestamp_seconds")
    return {"filesystem": view.name, **times("as_of", view.time), **times("updated", updated)}


def _facts(view: View) -> Mapping[str, Any]:
    return next(view["filesystem"].iter_rows(named=True), {})
