"""How space looks in JSON: pure functions of the frames of a file system."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from aggregator.api.representation import Json, times
from aggregator.engine.frame import totals
from aggregator.engine.view import View
from aggregator.model.storage import SIZE_BIN_EDGES

_TIERS = ("disk", "tape")
_LIMITS = ("quota_bytes", "quota_inodes", "quota_hard_bytes", "quota_hard_inodes")
_Key = tuple[Any, ...]


def filesystem_json(view: View) -> Json:
    """Show one file system: how fresh its numbers are, and their sums."""
    facts = _facts(view)
    used = view["groups"].select(totals(f"{tier}_used_bytes" for tier in _TIERS)).row(0, named=True)
    inodes = view["group_inodes"].group_by("type", maintain_order=True).agg(totals(_TIERS))
    return {
        **head_json(view),
        "path": facts.get("path") or None,
        "hsm": facts.get("hsm"),
        "scan_running": facts.get("scan_running"),
        "groups_count": view["groups"].height,
        "used_bytes": _used_json(used),
        "inodes": _inodes_json(inodes.to_dicts()),
    }


def head_json(view: View) -> Json:
    """Name a file system, and say how fresh its numbers are."""
    updated = _facts(view).get("updated_timestamp_seconds")
    return {"filesystem": view.name, **times("as_of", view.time), **times("updated", updated)}


def _facts(view: View) -> Mapping[str, Any]:
    return next(view["filesystem"].iter_rows(named=True), {})


def spaces_json(view: View, of: str, rows: Sequence[Json]) -> list[Json]:
    """Show what some groups or users have, in the order of their rows."""
    keys = ("group", "user") if of == "user" else ("group",)
    groups = {row["group"] for row in rows}
    inodes = _by_key(view[f"{of}_inodes"], keys, groups)
    states = _by_key(view[f"{of}_hsm"], keys, groups)
    return [
        {
            "used_bytes": _used_json(row),
            "inodes": _inodes_json(inodes[tuple(row[key] for key in keys)]),
            "hsm_bytes": {each["state"]: each["hsm_bytes"] for each in states[tuple(row[key] for key in keys)]},
            "size_profile": None if row["file_size_bins"] is None else _profile_json(row["file_size_bins"]),
            "file_size_sum_bytes": row["file_size_sum_bytes"],
        }
        for row in rows
    ]


def _by_key(frame: pl.DataFrame, keys: Sequence[str], groups: set[str]) -> defaultdict[_Key, list[Json]]:
    """Give the rows of some groups by their keys."""
    found: defaultdict[_Key, list[Json]] = defaultdict(list)
    for row in frame.filter(pl.col("group").is_in(list(groups))).iter_rows(named=True):
        found[tuple(row[key] for key in keys)].append(row)
    return found


def _used_json(row: Json) -> dict[str, int]:
    return {tier: used for tier in _TIERS if (used := row[f"{tier}_used_bytes"]) is not None}


def _inodes_json(rows: Sequence[Json]) -> dict[str, dict[str, int]]:
    """Nest type → tier → count."""
    return {row["type"]: {tier: row[tier] for tier in _TIERS if row[tier] is not None} for row in rows}


def _profile_json(cumulative: Sequence[int]) -> list[Json]:
    """Pair each cumulative count with its upper edge; the last bin has none."""
    return [{"le": edge, "count": count} for edge, count in zip((*SIZE_BIN_EDGES, None), cumulative, strict=True)]


def quota_json(row: Json) -> Json | None:
    """Show the quota, how much of it is used on disk, and what its own source counts; None without either."""
    if row["quota_source"] is None and row["counted_by"] is None:
        return None
    return {
        **{name.removeprefix("quota_"): row[name] for name in _LIMITS},
        "used_ratio": _both(row, "quota_used_ratio"),
        "source": row["quota_source"],
        "counted": _both(row, "counted") if row["counted_by"] else None,
        "in_doubt": _both(row, "in_doubt") if _is_any(row, "in_doubt") else None,
        "counted_by": row["counted_by"],
    }


def _both(row: Json, what: str) -> Json:
    return {resource: row[f"{what}_{resource}"] for resource in ("bytes", "inodes")}


def _is_any(row: Json, what: str) -> bool:
    return any(value is not None for value in _both(row, what).values())
