"""The pages of quotas (C14): Lustre's project quotas and GPFS's, now and over time."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.catalogue.entry import Entry

_FIELDS = {"bytes": "bytes", "files": "inodes"}
# The kind of owner, its name, our file system's name, and the fs or fileset that the portal's expression names.
_GPFS = (
    ("user", "amartin", "storage/home/users", 'fs="home"'),
    ("group", "6003412", "storage/essproject/groups", 'fs="project"'),
    ("fileset", "data", "storage/filesets/groups", 'fs="project"'),
)
_FIRST_FILESET = (
    "pitfall 38: a group with quotas in two filesets has two series, of which the portal takes the first that comes; "
    "ours adds them up, or shows the filesets that `quota.filesets` names"
)

_NO_LIMIT = "pitfall 30: 0 is no limit; the portal draws a limit of 0, ours draws none"


def _of_group(field: str) -> Callable[[Any], dict[tuple[str, ...], float]]:
    return lambda data: {(): data[field]}


def _of_user(user: str, part: str, field: str) -> Callable[[Any], dict[tuple[str, ...], float]]:
    def read(data: Any) -> dict[tuple[str, ...], float]:
        (row,) = (each for each in data["users"] if each["user"] == user)
        return {(): row[f"{part}_{field}"]}

    return read


def _lfs() -> Iterator[Entry]:
    for number, metric, field, times in (("QL1", "inodes", "inodes", ""), ("QL2", "kbytes", "bytes", " * 1024")):
        user = f'lfs_quota_{metric}{{path="/lustre07/scratch/", project="amartin", $F}}{times}'
        group = f'lfs_quota_{metric}{{path="/lustre02/project/", project="def-kim", $F}}{times}'
        yield Entry(
            id=number, portal=user, path="storage/scratch/users", metric=f"counted_{field}",
            read=_of_user("amartin", "counted", field),
        )  # fmt: skip
        yield Entry(
            id=number, portal=group, path="storage/oldproject/groups/def-kim", metric=f"counted_{field}",
            read=_of_group(f"counted_{field}"),
        )  # fmt: skip
        yield Entry(
            id=number, portal=user, path="storage/scratch/users/amartin/series", metric=f"used_{field}"
        )  # fmt: skip
        yield Entry(
            id=number, portal=group, path="storage/oldproject/groups/def-kim/series", metric=f"used_{field}"
        )  # fmt: skip


def _now(kind: str, name: str, path: str, part: str, field: str) -> tuple[str, str, Callable[[Any], Any]]:
    """Give the path, the field, and how it is read."""
    column = "counted" if part == "counted" else "quota"
    if kind == "user":
        return path, f"{column}_{field}", _of_user(name, column, field)
    return f"{path}/{name}", f"{column}_{field}", _of_group(f"{column}_{field}")


def _gpfs() -> Iterator[Entry]:
    for kind, name, path, where in _GPFS:
        for number, theirs, part, ours in (("QG1", "used", "counted", "used"), ("QG2", "quota", "limit", "quota")):
            for unit, field in _FIELDS.items():
                differs = _NO_LIMIT if theirs == "quota" and unit == "files" and kind != "user" else ""
                portal = f'gpfs_{kind}_{theirs}_{unit}{{{where}, {kind}="{name}"}}'
                now, metric, read = _now(kind, name, path, part, field)
                yield Entry(
                    id=number,
                    portal=portal,
                    path=now,
                    metric=metric,
                    read=None if differs else read,
                    differs=differs,
                )
                yield Entry(
                    id=number, portal=portal, path=f"{path}/{name}/series", metric=f"{ours}_{field}", differs=differs
                )


def _groups(data: Any) -> dict[tuple[str, ...], float]:
    return {(each["group"],): each["quota_bytes"] for each in data["groups"] if each["quota_bytes"] is not None}


ENTRIES = (
    *_lfs(),
    *_gpfs(),
    Entry(
        id="QG1", portal='gpfs_group_used_bytes{fs="project", group="def-kim"}',
        path="storage/essproject/groups/def-kim/series", metric="used_bytes", differs=_FIRST_FILESET,
    ),
    Entry(
        id="QG2", portal='gpfs_group_quota_bytes{fs="project", group="def-kim"}',
        path="storage/essproject/groups/def-kim/series", metric="quota_bytes", differs=_FIRST_FILESET,
    ),
    Entry(
        id="QG1", portal='gpfs_group_used_bytes{fs="project", group="def-kim", fileset="root"}',
        path="storage/rootset/groups/def-kim/series", metric="used_bytes",
    ),
    Entry(
        id="QG3", portal='gpfs_group_quota_bytes{fs="project", fileset="root"}', path="storage/rootset/groups",
        metric="quota_bytes", labels={"group": "group"}, read=_groups,
    ),
)  # fmt: skip
