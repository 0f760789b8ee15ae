"""Alerts on waste of which Alertmanager has told people."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from aggregator.engine.column import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class WasteAlert:
    """One firing of an alert, which its fingerprint and its start tell from the others of a cluster.

    Times are epoch seconds, resolved is None while it fires. An alert that is about many jobs of a user has no job,
    account and reason.
    """

    cluster: str
    fingerprint: str
    start: float
    resolved: float | None
    user: str
    account: str | None
    job_id: int | None
    reason: str | None
    severity: str | None


# How many alerts people were told of, "" for an account or a reason that the alerts do not have; until is when last.
ALERT_COUNTS: Final = schema(
    {"user": pl.String, "account": pl.String, "reason": pl.String, "count": pl.Int64, "until": pl.Float64}
)


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """The counts of a cluster (ALERT_COUNTS), and their revision, which changes with them; "" without any."""

    revision: str
    counts: pl.DataFrame
