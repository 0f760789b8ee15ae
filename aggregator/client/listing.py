"""The commands that show a list: `jobs`, `top`, `waste` and `nodes`."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aggregator.client.columns import JOBS, NODES, WASTE, top
from aggregator.client.errors import Misused
from aggregator.client.lists import list_of, pairs, rows_of
from aggregator.client.output import Command, Display, of_cluster
from aggregator.client.screen import Screen
from aggregator.client.service import Api, Call
from aggregator.client.table import Column, Row, footer, plain, table

# A word for `--state` that the service does not know.
ANY_STATE: Final = "all"


@dataclass(frozen=True, kw_only=True)
class ListCommand:
    """A list, its columns, and what holds where a flag is not given."""

    name: str
    columns: Callable[[argparse.Namespace, Sequence[Row]], Sequence[Column]]
    defaults: tuple[tuple[str, str], ...] = ()
    sort: str = ""
    group_by: Callable[[argparse.Namespace], str] = lambda _: ""
    of: str = ""


def _jobs(_: argparse.Namespace, rows: Sequence[Row]) -> Sequence[Column]:
    """Leave out the user where all jobs are of one."""
    return [each for each in JOBS if each.title != "USER" or len({row["user"] for row in rows}) != 1]


def _top(flags: argparse.Namespace, rows: Sequence[Row]) -> Sequence[Column]:
    return top(tuple(flags.by.split(",")), max((row["wasted_gpus"] or 0.0 for row in rows), default=None))


_WORST_FIRST: Final = "-wasted_gpus,-wasted_cpus,-wasted_memory_bytes"
LISTINGS: Final = {
    "jobs": ListCommand(
        name="jobs", columns=_jobs, defaults=(("state", "running"),), of="row",
    ),
    "top": ListCommand(
        name="jobs", columns=_top, defaults=(("state", "running"),), sort=_WORST_FIRST,
        group_by=lambda flags: str(flags.by), of="row",
    ),
    "waste": ListCommand(
        name="jobs", columns=lambda *_: WASTE, sort=_WORST_FIRST, of="row",
        defaults=(("state", "running"), ("severity", "critical,warning")),
    ),
    "nodes": ListCommand(name="nodes", columns=lambda *_: NODES, of="node"),
}  # fmt: skip


def listing_command(listing: ListCommand) -> Callable[[argparse.Namespace, Api], Command]:
    """Make the command of a list."""

    def command(flags: argparse.Namespace, service: Api) -> Command:
        asked = _asked(flags, service, listing)
        if flags.csv and flags.limit is not None:
            raise Misused("--limit: not with --csv, which is the whole list")
        limit = flags.limit or flags.usual
        return Command(
            csv=lambda: asked,
            json=lambda: rows_of(service, asked, listing.name, limit),
            draw=lambda: _drawn(flags, service, listing, asked, limit),
        )

    return command


def _asked(flags: argparse.Namespace, service: Api, listing: ListCommand) -> Call:
    filters = [(name, value) for name in flags.own if (value := getattr(flags, name))]
    filters += pairs(flags.filters)
    given = {name for name, _ in filters}
    filters += [each for each in listing.defaults if each[0] not in given]
    words = {"group_by": listing.group_by(flags), "sort": flags.sort or listing.sort, "fields": flags.fields}
    filters = [each for each in filters if each != ("state", ANY_STATE)]
    return list_of(of_cluster(service, f"/{listing.name}"), filters, words)


def _drawn(flags: argparse.Namespace, service: Api, listing: ListCommand, asked: Call, limit: int) -> Display:
    chosen = [plain(name, right=False) for name in flags.fields.split(",")] if flags.fields else None
    columns = chosen or listing.columns(flags, ())
    # What is not drawn is not asked for.
    fields = dict.fromkeys(name for each in columns for name in each.fields)
    answer = rows_of(service, asked.having(fields=",".join(fields)), listing.name, limit)
    rows: list[dict[str, Any]] = answer.data[listing.name]

    def draw(screen: Screen) -> None:
        if rows:
            table(screen, chosen or listing.columns(flags, rows), rows)
        is_usual = ("state", "running") in asked.parameters
        footer(screen, len(rows), answer.data, listing.of, " of running jobs" * is_usual)

    return Display(draw, answer.warnings)
