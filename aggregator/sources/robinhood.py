"""Fetch who uses how much space from Robinhood's ACCT_STAT (2.5 to 3.2), and from VARS how fresh that is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from aggregator import executors
from aggregator.model.storage import ENTRIES, FilesystemUsage
from aggregator.sources.base import FetchError
from aggregator.sources.mysql import Database, Row, SchemaError, text

BLOCK_BYTES = 512  # of st_blocks, whatever the file system
SIZE_COLUMNS = ("sz0", "sz1", "sz32", "sz1K", "sz32K", "sz1M", "sz32M", "sz1G", "sz32G", "sz1T")
HSM_COLUMN = "lhsm_status"
SCAN_IDLE_SECONDS = 3600.0
# While a scan runs, the end time is still that of the scan before.
_COMPLETE = frozenset({"done", "running"})
# Robinhood 2.5 stores the state as a number.
_HSM_NUMBERS = ("", "new", "modified", "retrieving", "archiving", "synchro", "released", "released")
_COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema=DATABASE() AND table_name IN ('ACCT_STAT', 'VARS')"
)
_VARS = "SELECT CAST(varname AS BINARY), CAST(value AS BINARY) FROM VARS"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which of the layouts of ACCT_STAT this database has; the key differs with version and site."""

    user: str
    group: str
    hsm: str | None
    sizes: bool
    variables: bool

    def statement(self) -> str:
        """Make the one grouped statement of a fetch; groups whose last inode is gone are left out."""
        hsm = f"CAST(`{self.hsm}` AS BINARY)" if self.hsm else "''"
        sizes = "".join(f", SUM(`{column}`)" for column in SIZE_COLUMNS) if self.sizes else ""
        group_by = f"`{self.user}`, `{self.group}`, `type`" + (f", `{self.hsm}`" if self.hsm else "")
        return (
            f"SELECT CAST(`{self.user}` AS BINARY), CAST(`{self.group}` AS BINARY), CAST(`type` AS BINARY), {hsm},"  # noqa: S608
            f" SUM(`size`), SUM(`blocks`), SUM(`count`){sizes}"
            f" FROM ACCT_STAT GROUP BY {group_by} HAVING SUM(`count`)>0"
        )


class Robinhood:
    """Read one file system's sums."""

    name = "robinhood"

    def __init__(self, filesystem: str, database: Database, key: str) -> None:
        self.rows = 0
        self._filesystem = filesystem
        self._database = database
        self._key = key
        self._layout: Layout | None = None

    @property
    def session(self) -> str:
        """Say whether the connection is encrypted, and how many the service needs."""
        return self._database.session

    @property
    def features(self) -> Mapping[str, bool]:
        """Tell what this database's layout offers."""
        layout = self._layout
        if layout is None:
            return {}
        return {"hsm_state": layout.hsm is not None, "size_profile": layout.sizes, "freshness": layout.variables}

    async def fetch(self, at: float) -> FilesystemUsage:
        """Read all sums in one statement.

        Raises FetchError; a missing or empty ACCT_STAT is one too: it means "no data", never "nothing used".
        """
        try:
            if self._layout is None:
                self._layout = parse_layout(await self._database.rows(_COLUMNS), self._key)
            rows = await self._database.rows(self._layout.statement())
            variables = await self._database.rows(_VARS) if self._layout.variables else []
        except SchemaError:
            self._layout = None
            raise
        if not rows:
            raise FetchError(f"{self._key}: ACCT_STAT is empty: Robinhood is filling it, or has not scanned yet")
        self.rows = len(rows)
        values = {text(name): text(value) for name, value in variables}
        return FilesystemUsage(
            filesystem=self._filesystem,
            time=at,
            entries=await executors.run(executors.REFRESH, parse_entries, rows),
            updated=parse_updated(values),
            scan_running=is_scanning(values, at),
            path=values.get("FS_Path", ""),
        )


def parse_layout(rows: Iterable[Row], key: str) -> Layout:
    """Tell the layout from the columns.

    Raises FetchError when there is no ACCT_STAT, or one that no known release makes.
    """
    found = [(text(table), text(column)) for table, column in rows]
    columns = {column for table, column in found if table == "ACCT_STAT"}
    if not columns:
        raise FetchError(f"{key}: no table ACCT_STAT in this database (or no SELECT on it): not a Robinhood database")
    user = next((column for column in ("uid", "owner") if column in columns), None)
    group = next((column for column in ("gid", "gr_name") if column in columns), None)
    missing = {"type", "size", "blocks", "count"} - columns
    if user is None or group is None or missing:
        wanted = sorted(missing | ({"uid"} if user is None else set()) | ({"gid"} if group is None else set()))
        raise FetchError(f"{key}: ACCT_STAT lacks the columns {', '.join(wanted)}")
    hsm = next((column for column in (HSM_COLUMN, "status") if column in columns), None)
    variables = {column for table, column in found if table == "VARS"}
    return Layout(user, group, hsm, set(SIZE_COLUMNS) <= columns, {"varname", "value"} <= variables)


def parse_entries(rows: Iterable[Row]) -> pl.DataFrame:
    """Parse the rows of `Layout.statement`: ENTRIES."""
    return pl.DataFrame([_parse_entry(row) for row in rows], schema=ENTRIES, orient="row")


def _parse_entry(row: Row) -> tuple[Any, ...]:
    """Parse one group; sums come as DECIMAL or NULL."""
    user, group, kind, state, size, blocks, count, *bins = row
    names = text(user), text(group), text(kind), _hsm_state(text(state))
    sums = int(size or 0), int(blocks or 0) * BLOCK_BYTES, int(count or 0)
    return (*names, *sums, [int(inodes or 0) for inodes in bins])


def _hsm_state(state: str) -> str:
    if state.isdecimal():
        return _HSM_NUMBERS[int(state)] if int(state) < len(_HSM_NUMBERS) else ""
    return state


def parse_updated(variables: Mapping[str, str]) -> float | None:
    """Find the epoch time that the sums stand for; None while it cannot be known.

    With changelogs: the step time of the slowest MDT's last commit (an idle MDT's records are old though all is
    current). Without: the end of the last complete scan; one that was aborted or partial updates nothing.
    """
    steps = [
        _seconds(value.rsplit(":", 1)[-1])
        for name, value in variables.items()
        if name.startswith("CL_LastCommit") and value.count(":") >= 2
    ]
    if steps and None not in steps:
        return min(step for step in steps if step is not None)
    if variables.get("LastScanStatus", "done") not in _COMPLETE:
        return _seconds(variables.get("PrevScanEndTime", ""))
    return _seconds(variables.get("LastScanProcessingEndTime") or variables.get("LastScanEndTime", ""))


def is_scanning(variables: Mapping[str, str], at: float) -> bool:
    """Tell whether a scan is running; one that was killed leaves its status behind, and does nothing any more."""
    last_action = _seconds(variables.get("LastScanLastActionTime", ""))
    alive = last_action is None or at - last_action < SCAN_IDLE_SECONDS
    return variables.get("LastScanStatus") == "running" and alive


def _seconds(value: str) -> float | None:
    """Read whole seconds: Robinhood does not pad its microseconds, so the fraction cannot be read as one."""
    whole = value.partition(".")[0]
    return float(whole) if whole.isdecimal() and int(whole) > 0 else None
