"""POST /api/v1/alerts: what Alertmanager tells people of waste, kept; and what is shown of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypedDict

import polars as pl
from aiohttp import web

from aggregator import executors
from aggregator.api.answer import Epoch, Time
from aggregator.api.audit import audit_change
from aggregator.api.body import read_json
from aggregator.api.envelope import success
from aggregator.api.errors import TryAgain, Unavailable
from aggregator.api.keys import ALERTS, CLOCK, COUNT_ALERTS, STORE
from aggregator.api.lookup import absent
from aggregator.api.representation import Json
from aggregator.api.unbroken import to_the_end
from aggregator.api.unchanged import GIVEN
from aggregator.api.visibility import Rights
from aggregator.api.webhook import Webhook, read_webhook
from aggregator.engine.listed import Listed
from aggregator.engine.query import ListQuery
from aggregator.model.accounting import Run
from aggregator.model.view import ClusterView
from aggregator.parts.alerts.columns import ALERTS as TABLE
from aggregator.state import StateError

# Others are no id of a job, of which the list says so.
_NUMBER: Final = re.compile("[0-9]{1,18}")
# Of 10,000 alerts with their texts.
MAX_PAYLOAD_MIB: Final = 16
# Alerts that one request looks at: the newest ones.
MOST: Final = 20_000
_OF_RUN: Final = (
    "reason", "severity", *(
        f"{event}_{form}"
        for event in ("first_notified", "last_notified", "resolved") for form in ("time", "timestamp_seconds")
    ),
)  # fmt: skip
_LISTED: Final = Listed(name="alerts", table=TABLE, order=())


class CountedShown(TypedDict):
    """How many alerts are new, were told before, are not on waste of our clusters, and were left out by the sender."""

    new: int
    known: int
    ignored: int
    truncated: int


class AlertShown(TypedDict):
    """An alert on a run."""

    reason: str
    severity: str
    first_notified_time: Time
    first_notified_timestamp_seconds: Epoch
    last_notified_time: Time
    last_notified_timestamp_seconds: Epoch
    resolved_time: Time
    resolved_timestamp_seconds: Epoch


async def post_alerts(request: web.Request) -> web.Response:
    """Keep the alerts of a webhook that are on waste of our clusters; others are counted, and no error.

    Alertmanager sends again what is answered with 5xx, and gives up what is answered with 4xx.
    """
    clusters = request.app[STORE].current.clusters
    if not clusters:
        raise absent(request.app[STORE].current, "no cluster is configured here")
    body = await read_json(request, MAX_PAYLOAD_MIB)
    now = request.app[CLOCK]()
    told = await executors.run(executors.ANSWERS, read_webhook, body, frozenset(clusters), now)
    return success(request, await to_the_end(_save(request, told, now)))


async def _save(request: web.Request, told: Webhook, now: float) -> Mapping[str, int]:
    """Keep alerts and count what became of each.

    Raises TryAgain.
    """
    count = request.app[COUNT_ALERTS]
    try:
        new = await request.app[ALERTS].save(told.alerts, now)
    except StateError as error:
        count("failed", len(told.alerts))
        raise TryAgain(str(error)) from error
    request.app[GIVEN].forget()
    known = len(told.alerts) - new
    outcomes = {"new": new, "known": known, "ignored": told.ignored, "truncated": told.truncated}
    for outcome, alerts in outcomes.items():
        count(outcome, alerts)
    audit_change(request, "alerts", ", ".join(f"{alerts} {outcome}" for outcome, alerts in outcomes.items()))
    return outcomes


async def read_alerts(
    request: web.Request, view: ClusterView, rights: Rights, query: ListQuery | None
) -> tuple[ClusterView, Sequence[str]]:
    """Give a view whose `alerts` are those that a list may show, and a warning where it looks at some only.

    Raises Unavailable.
    """
    filters = query.filters if query else {}
    seen = None if rights.everything else (rights.user, rights.whole_accounts)
    wanted: dict[str, Sequence[Any]] = {"user": filters["user"]} if "user" in filters else {}
    if "job_id" in filters:
        wanted["job_id"] = [int(text) for text in filters["job_id"] if _NUMBER.fullmatch(text)]
    try:
        found = await request.app[ALERTS].newest(view.cluster, MOST, wanted, seen)
    except StateError as error:
        raise Unavailable(str(error)) from error
    cut = (f"only the newest {MOST} alerts were looked at",) if found.height == MOST else ()
    return replace(view, frames={**view.frames, "alerts": found}), cut


async def alerts_of(request: web.Request, cluster: str, runs: Sequence[Run]) -> tuple[dict[int, list[Json]], list[str]]:
    """Give the alerts on each of some runs of one job, which may be all its tasks, by run id, the newest first.

    Without the state the rest is an answer: then there is none of any run.
    """
    try:
        found = await request.app[ALERTS].newest(cluster, MOST, {"job_id": [run.job_id for run in runs]})
    except StateError as error:
        return {}, [f"the alerts on the runs are missing: {error}"]
    if found.is_empty():
        return {run.run_id: [] for run in runs}, []
    return {run.run_id: _LISTED.show(_of_run(found, run, runs), {}, _OF_RUN).to_dicts() for run in runs}, []


def _of_run(alerts: pl.DataFrame, run: Run, runs: Sequence[Run]) -> pl.DataFrame:
    """Give those that began to fire after the run did, and before a later run of the same id."""
    if run.start is None:
        return alerts.clear()
    start = pl.col("start_timestamp_seconds")
    later = [each.start for each in runs if each.job_id == run.job_id and each.start and each.start > run.start]
    is_own = (pl.col("job_id") == run.job_id) & (pl.col("user") == run.user) & (start >= run.start)
    return alerts.filter(is_own & (start < min(later)) if later else is_own)
