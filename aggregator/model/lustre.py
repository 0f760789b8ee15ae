"""What Lustre's servers show of input and output, and who caused it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import polars as pl

from aggregator.engine.column import schema
from aggregator.model.question import ByInput

Kind = Literal["read", "write", "metadata"]
KINDS: Final[tuple[Kind, ...]] = ("read", "write", "metadata")
# One row per sender: who caused a rate on a file system, as its series say: the number of a job, or the uid of a
# process, and the proxy's names for them ("" without). Of a sender with neither nothing is known.
SENDERS: Final = schema(
    {
        "filesystem": pl.String,
        "job_id": pl.Int64,
        "uid": pl.Int64,
        "user": pl.String,
        "account": pl.String,
        "rate": pl.Float64,
    }
)
# The names of uids, each uid once.
UID_NAMES: Final = schema({"uid": pl.Int64, "name": pl.String})


@dataclass(frozen=True, slots=True)
class LustreUse:
    """One fetch of what Lustre's servers show, all of it at one evaluation time.

    rates (SENDERS) are by kind (KINDS): bytes per second read and written, and metadata operations per second. A kind
    that is not there could not be read. Senders in whom nobody is named, and what was beyond the cap, are there as
    such: each kind adds up to what was measured. window and interval are the seconds over which rates were taken and
    between two scrapes. coverage is the share of a file system's targets that are seen now. failed says of inputs that
    could not be read why, rejected counts the values that cannot be. questions are what was asked for the rates.
    """

    time: float
    interval: float = 90.0
    window: float = 360.0
    rates: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    coverage: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    questions: ByInput = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UidNames:
    """The names of uids (UID_NAMES), as far as they are known."""

    frame: pl.DataFrame
