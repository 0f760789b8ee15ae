"""`quota`: what is stored, out of which quota, the fullest first."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from aggregator.client.errors import ClientError, Misused
from aggregator.client.lists import MOST_OF_A_PAGE
from aggregator.client.output import Command, Display, Who, who_is
from aggregator.client.screen import BAD, FAINT, POOR, Screen
from aggregator.client.service import Answer, Api, Call, named
from aggregator.client.standing import FULL, NEAR
from aggregator.client.table import Column, Row, plain, table
from aggregator.client.units import UNKNOWN, number, percent, size

_OWNERS: Final = ("users", "groups")


def quota_command(flags: argparse.Namespace, service: Api) -> Command:
    """Show quotas of a user, and of the groups that may be seen."""

    def asked() -> Quotas:
        return quotas_of(service, who_is(service, flags.user), flags.filesystem, flags.of)

    def json() -> Answer:
        every = asked()
        answers = service.ask_all(every.lists)
        pairs = zip(every.lists, answers, strict=True)
        return Answer({str(one): each.data for one, each in pairs if isinstance(each, Answer)}, missing(answers))

    def csv() -> Call:
        if not (flags.filesystem and flags.of):
            raise Misused("--csv: needs --filesystem and --of, for it writes one list")
        return asked().lists[0]

    def draw() -> Display:
        every = asked()
        answers = service.ask_all(every.lists)
        rows = every.rows(answers)
        return Display(lambda screen: _draw(screen, rows), missing(answers))

    return Command(json=json, draw=draw, csv=csv)


@dataclass(frozen=True, slots=True)
class Quotas:
    """The lists that quotas are read from. is_of_all tells that they have groups of others, which are left out."""

    lists: list[Call]
    is_of_all: bool = False

    def rows(self, answers: Sequence[Answer | ClientError]) -> list[Row]:
        """Give the rows of answers with the names of their file systems, the fullest first."""
        rows = [
            {**row, "filesystem": filesystem, "owner": _owner(row, kind), "kind": kind}
            for asked, answer in zip(self.lists, answers, strict=True)
            if isinstance(answer, Answer)
            for *_, filesystem, kind in [unquote(asked.path).split("/")]
            for row in answer.data[kind]
        ]
        if self.is_of_all:
            own = {(row["filesystem"], row["group"]) for row in rows if row["kind"] == "users"}
            rows = [row for row in rows if row["kind"] == "users" or (row["filesystem"], row["group"]) in own]
        return sorted(rows, key=lambda row: (-fullest(row), row["filesystem"], row["owner"]))


def quotas_of(service: Api, who: Who, filesystem: str | None, of: str | None) -> Quotas:
    """Say which lists are read: of each file system that of the user and that of groups, or those that are named.

    Raises ClientError.
    """
    if filesystem:
        names = [filesystem]
    else:
        names = [each["filesystem"] for each in service.ask(Call("/storage")).data["filesystems"]]
    words = (("limit", str(MOST_OF_A_PAGE)), ("sort", "-quota_used_ratio_bytes"))
    owners = {"users": (("user", who.user), *words), "groups": words}
    kinds = [of] if of else _OWNERS
    lists = [Call(f"/storage/{named(name)}/{kind}", owners[kind]) for name in names for kind in kinds]
    return Quotas(lists, is_of_all=who.is_staff and not of)


def missing(answers: Sequence[Answer | ClientError]) -> tuple[str, ...]:
    """Say what is missing from answers, or why one is."""
    texts = (each.warnings if isinstance(each, Answer) else (str(each),) for each in answers)
    return tuple(dict.fromkeys(text for each in texts for text in each))


def _owner(row: Row, kind: str) -> str:
    if kind == "groups":
        return str(row["group"] or UNKNOWN)
    return f"{row['user']} in {row['group']}" if row["group"] else str(row["user"] or UNKNOWN)


def fullest(row: Row) -> float:
    """Give the larger of used ÷ quota of bytes and of inodes; -1 without a quota."""
    return max(
        -1.0 if row[name] is None else row[name] for name in ("quota_used_ratio_bytes", "quota_used_ratio_inodes")
    )


def style_of(row: Row) -> str:
    """Tell how near a quota is."""
    return BAD if fullest(row) >= FULL else POOR if fullest(row) >= NEAR else ""


def space(row: Row) -> str:
    """Write the bytes that are used, and the quota."""
    counted = row["counted_bytes"]
    used = size(row["disk_used_bytes"] if counted is None else counted)
    return f"{used} of {size(row['quota_bytes'])}" if row["quota_bytes"] is not None else f"{used}, no quota"


def files(row: Row) -> str:
    """Write the inodes that are used, and the quota."""
    counted = row["counted_inodes"]
    used = number(row["disk_inodes"] if counted is None else counted)
    return f"{used} of {number(row['quota_inodes'])}" if row["quota_inodes"] is not None else used


def _column(title: str, name: str, rank: int) -> Column:
    return Column(
        title, (name,), lambda row: "" if row[name] is None else f"{percent(row[name])} %", rank, right=False,
        style=style_of, share=lambda row: row[name],
    )  # fmt: skip


_COLUMNS: Final = (
    plain("filesystem", right=False, least=10),
    plain("owner", "OWNER", right=False, least=12),
    _column("SPACE", "quota_used_ratio_bytes", 0),
    Column("USED", ("disk_used_bytes",), space, 1, right=False),
    _column("FILES", "quota_used_ratio_inodes", 3),
    Column("USED", ("disk_inodes",), files, 2, right=False),
)


def _draw(screen: Screen, rows: list[Row]) -> None:
    if rows:
        table(screen, _COLUMNS, rows)
    else:
        screen.print([("nothing is stored that you may see", FAINT)])
