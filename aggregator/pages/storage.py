"""GET /ui/storage, /ui/storage/{filesystem}, /ui/storage/{filesystem}/groups/{group}: quotas, and who stores what."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aggregator.api.errors import ApiError
from aggregator.api.groups import read_group
from aggregator.api.storage import read_filesystem, read_filesystems
from aggregator.api.storage_lists import GROUPS_PATH, SPACES_PATH
from aggregator.pages.chart import bar, parts_bar
from aggregator.pages.language import Language
from aggregator.pages.listing import OF_LISTS, RowsAsked, read_listing
from aggregator.pages.numbers import Numbers
from aggregator.pages.owner import quota_bar
from aggregator.pages.page import WebPage
from aggregator.pages.render import Visit

Row = Mapping[str, Any]
_NEARLY: Final = 0.9
_LOOKS: Final = ("p0", "p1", "p2", "p3", "p4", "p5")


async def read_all(visit: Visit) -> Mapping[str, Any]:
    """Read the sums of every file system."""
    data, warnings = read_filesystems(visit.request)
    return {"filesystems": data["filesystems"], "warnings": warnings}


async def read_one(visit: Visit) -> Mapping[str, Any]:
    """Read one file system with the groups and users that may be seen, the fullest first."""
    filesystem, warnings = read_filesystem(visit.request)
    groups = await read_listing(visit, GROUPS_PATH, {}, sort="-quota_used_ratio_bytes,-disk_used_bytes")
    users = await _users(visit, {})
    return {
        "filesystem": filesystem,
        "groups": groups,
        "users": users,
        "bars": {row["group"]: quota_bar(row, visit.language) for row in groups.rows},
        "user_bars": _bars_of(users, visit.language),
        "has_user_quotas": any(row["quota_bytes"] is not None for row in (users.rows if users else ())),
        "full": sum((row["quota_used_ratio_bytes"] or 0) >= _NEARLY for row in groups.rows),
        "warnings": warnings,
    }


async def _users(visit: Visit, fixed: Mapping[str, str]) -> RowsAsked | None:
    """Read the users of a file system, of the whole or of a group; None where they are not known."""
    try:
        return await read_listing(visit, SPACES_PATH, fixed, sort="-disk_used_bytes", is_first=True)
    except ApiError:
        return None


def _bars_of(users: RowsAsked | None, language: Language) -> Mapping[tuple[str, str], Any]:
    rows = users.rows if users else ()
    return {(row["user"], row["group"]): quota_bar(row, language) for row in rows}


async def read_one_group(visit: Visit) -> Mapping[str, Any]:
    """Read a group of a file system, and what each of its users has."""
    group, warnings = await read_group(visit.request)
    users = await _users(visit, {"group": group["group"]})
    whole = group["disk_used_bytes"] or 0
    shares = {
        row["user"]: bar((row["disk_used_bytes"] or 0) / whole if whole else None, "", row["user"] or "")
        for row in (users.rows if users else ())
    }
    return {
        "group": group,
        "filesystem": visit.request.match_info["filesystem"],
        "quota": quota_bar(group, visit.language),
        "hsm": _hsm(group, visit.language),
        "profile": _profile(group, visit.language),
        "users": users,
        "shares": shares,
        "is_full": (group["quota_used_ratio_bytes"] or 0) >= _NEARLY,
        "warnings": warnings,
    }


def _hsm(group: Row, _: Language) -> Mapping[str, Any] | None:
    """Draw where the bytes are, by HSM state."""
    known = [each for each in group["hsm"] or () if each["hsm_bytes"]]
    whole = sum(each["hsm_bytes"] for each in known)
    if not whole:
        return None
    numbers = Numbers(_)
    parts = [
        (each["hsm_bytes"] / whole, _LOOKS[number % len(_LOOKS)], f"{each['state']}: {numbers.size(each['hsm_bytes'])}")
        for number, each in enumerate(known)
    ]
    return {"bar": parts_bar(parts, _("Bytes by HSM state")), "parts": parts}


def _profile(group: Row, _: Language) -> Sequence[Row]:
    """Count the files of each size: the API's counts are of all up to a size."""
    numbers, found, before, least = Numbers(_), [], 0, 0
    counts = group["size_profile"] or ()
    whole = counts[-1]["count"] if counts else 0
    for each in counts:
        count, most = each["count"] - before, each["le"]
        name = _("empty") if most == 0 else _("%(least)s and more", least=numbers.size(least)) if most is None else (
            _("up to %(most)s", most=numbers.size(most + 1)))  # fmt: skip
        found.append({"name": name, "count": count, "bar": bar(count / whole if whole else None, "", name)})
        before, least = each["count"], (most or 0) + 1
    return found


ALL: Final = WebPage(path="/ui/storage", template="storage.html", read=read_all)
ONE: Final = WebPage(path="/ui/storage/{filesystem}", template="filesystem.html", read=read_one, parameters=OF_LISTS)
GROUP: Final = WebPage(
    path="/ui/storage/{filesystem}/groups/{group}", template="group.html", read=read_one_group, parameters=OF_LISTS
)
