"""Storage: what is full, what grows, what is on tape, who loads Lustre."""

from typing import Final

from boards.frame import Board, Choice, Row
from boards.promql import NAMED, now, number, total
from boards.style import ACCENT, UNKNOWN, Column, Line, Rows, graph, listed, single

_OF: Final = ('filesystem=~"$filesystem"', 'group=~"$group"')
_ON: Final = 'filesystem=~"$filesystem"'
_KEY: Final = ("filesystem", "group", "resource")
_RATIO: Final = f"max by ({', '.join(_KEY)}) ({now('storage_quota_used_ratio', *_OF)})"
# By a line through the time shown.
_SLOPE: Final = f"deriv({now('storage_quota_used_ratio', *_OF)}[$__range:$__interval])"
_RISE: Final = f"max by ({', '.join(_KEY)}) ({_SLOPE}) * 86400"
_USER_SPACE: Final = total(now("storage_user_used_bytes", *_OF, NAMED["user"]), "filesystem", "group", "user")
_STATE: Final = Row(
    "Now",
    [
        single(
            "Used on disk", "Blocks of the groups chosen.", total(now("storage_used_bytes", *_OF, tier="disk")), "bytes"
        ),
        single(
            "Used on tape",
            "Size of current copies. Not known: the file system has no tapes.",
            total(now("storage_used_bytes", *_OF, tier="tape")),
            "bytes",
        ),
        single("Inodes on disk", "Of every type.", total(now("storage_used_inodes", *_OF, tier="disk"))),
        single("Quotas above 90 %", "Of bytes or inodes.", number(f"{_RATIO} > 0.9", _RATIO), limits=(1, 10)),
        single(
            "Oldest numbers",
            "How long ago the state was that the numbers stand for.",
            f"max(time() - {now('storage_last_update_timestamp_seconds', _ON)})",
            "s",
            limits=(14400, 86400),
        ),
        single(
            "Scans that run now",
            "Numbers may be in between while Robinhood scans.",
            total(now("storage_scan_running", _ON)),
        ),
    ],
)

_QUOTAS: Final = Row(
    "What is full, and what will be",
    [
        listed(
            "Quotas",
            "The 50 that are fullest, and when they are full at the pace of the time shown. Empty: they do not grow.",
            Rows(
                _KEY,
                [
                    Column("Used", f"topk(50, {_RATIO})", "percentunit", (0.9, 0.98)),
                    Column("Days until full", f"(1 - {_RATIO}) / ({_RISE} > 0)", "d"),
                ],
            ),
            span=12,
            height=12,
        ),
        listed(
            "Users by space",
            "The 50 who use most on disk and tape.",
            Rows(
                ("filesystem", "group", "user"),
                [
                    Column("Used", f"topk(50, {_USER_SPACE})", "bytes"),
                ],
            ),
            span=12,
            height=12,
        ),
    ],
)

_TIME: Final = Row(
    "Over time",
    [
        graph(
            "Space by group",
            "The 20 that use most, on disk.",
            Line(
                "{{filesystem}} {{group}}",
                f"topk(20, {total(now('storage_used_bytes', *_OF, tier='disk'), 'filesystem', 'group')})",
            ),
            unit="bytes",
        ),
        graph(
            "Files of the groups by what the tapes have of them",
            "Their size by the state of their copy on tape.",
            Line("{{state}}", total(now("storage_hsm_bytes", *_OF), "state")),
            unit="bytes",
            stacked=True,
        ),
        graph(
            "Files by size",
            "Files of the groups chosen up to each size; no line while the profile does not add up.",
            Line(
                "up to {{le}} bytes",
                f"sum by (le) (max without (instance, pod) (hpc_storage_file_size_bytes_bucket{{{','.join(_OF)}}}))",
            ),
            span=24,
        ),
    ],
)

_RATES: Final = (
    ("Read", "read_bytes_per_second", "binBps"),
    ("Written", "write_bytes_per_second", "binBps"),
    ("Metadata operations per second", "metadata_operations_per_second", "short"),
)
_USER: Final = ("cluster", "user", "filesystem")


def _load(family: str) -> str:
    return total(now(f"user_lustre_{family}", _ON, NAMED["user"]), *_USER)


_LUSTRE: Final = Row(
    "Who loads Lustre",
    [
        *(
            graph(
                title,
                "By jobs, by users outside of jobs, and by what cannot be told.",
                *(
                    Line(
                        f"{{{{filesystem}}}} {part}",
                        total(now(f"cluster_lustre_{family}", _ON, part=part), "filesystem"),
                        colour,
                    )
                    for part, colour in (("jobs", ACCENT), ("users", ""))
                ),
                Line(
                    "{{filesystem}} not known whose",
                    total(now(f"cluster_lustre_{family}", _ON, 'part!~"jobs|users"'), "filesystem"),
                    UNKNOWN,
                ),
                unit=unit,
                span=8,
            )
            for title, family, unit in _RATES
        ),
        listed(
            "Users by metadata operations",
            "In jobs and outside of them.",
            Rows(
                _USER,
                [
                    Column(_RATES[2][0], f"topk(25, {_load(_RATES[2][1])})"),
                    *(Column(title, _load(family), unit) for title, family, unit in _RATES[:2]),
                ],
            ),
        ),
    ],
)

BOARD: Final = Board(
    "storage",
    "HPC: storage",
    "What is full, what grows, what is on tape, and who loads Lustre.",
    [
        Choice("filesystem", "hpc_storage_used_bytes", several=True),
        Choice("group", 'hpc_storage_used_bytes{filesystem=~"$filesystem"}', several=True),
    ],
    [_STATE, _QUOTAS, _TIME, _LUSTRE],
    since="now-7d",
)
