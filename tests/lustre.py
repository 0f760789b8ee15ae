"""What Lustre's servers show, for tests, joined as the service joins it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from aggregator.engine.frame import Frames, conform
from aggregator.engine.part import Inputs, Layout
from aggregator.model.accounting import Run
from aggregator.model.job_inputs import runs_of
from aggregator.model.lustre import SENDERS, UID_NAMES, LustreUse, UidNames
from aggregator.parts import jobs, lustre
from aggregator.parts.lustre.columns import RATES, TABLES

LAYOUT = Layout("cluster", (jobs.PART, lustre.PART))


class Sender(NamedTuple):
    """Who caused a rate, as a row of SENDERS has it."""

    filesystem: str
    job_id: int | None = None
    uid: int | None = None
    user: str = ""
    account: str = ""


def senders(rates: Mapping[Sender, float]) -> pl.DataFrame:
    return pl.DataFrame([(*sender, rate) for sender, rate in rates.items()], schema=SENDERS, orient="row")


def rates_of(frame: pl.DataFrame) -> dict[Sender, float]:
    """Give the rows of SENDERS, of which each is another sender."""
    found = {Sender(*keys): rate for *keys, rate in frame.iter_rows()}
    assert len(found) == frame.height
    return found


def join_lustre(use: LustreUse, runs: Iterable[Run], names: Mapping[int, str] | None = None) -> Frames:
    known = pl.DataFrame(list((names or {}).items()), schema=UID_NAMES, orient="row")
    joined = LAYOUT.join(Inputs(runs_of(runs), use, UidNames(known)), use.time)
    assert not joined.failed
    return joined.frames


def io(read: float | None = None, write: float | None = None, metadata: float | None = None) -> dict[str, float | None]:
    """Give the columns of rates."""
    return dict(zip(RATES.values(), (read, write, metadata), strict=True))


def lustre_frames(**rows: Iterable[Mapping[str, Any]]) -> Frames:
    """Make the tables of Lustre, empty but for these rows."""
    return {table.name: conform(table, pl.DataFrame(rows.get(table.name, ()), strict=False)) for table in TABLES}
