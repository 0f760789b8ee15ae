"""The tables of alerts: how many each user's jobs have caused, and the alerts themselves, which the state keeps."""

from typing import Final

import polars as pl

from aggregator.engine.column import Family, Sample, Table
from aggregator.parts.jobs.declare import fact

_LABELS: Final = {"user": "user", "account": "account"}
_COUNT: Final = Family(
    name="hpc_user_waste_notifications_total",
    help="Alerts on waste of the user's jobs of which Alertmanager has told people; account and reason are empty where "
    "an alert is about many jobs.",
    cost="users told of in 30 days × reasons", source="Alertmanager's webhook", labels=("reason",),
)  # fmt: skip
USER_ALERTS: Final = Table(
    name="user_alerts", of="alerts on a user's jobs", collect="users", labels=_LABELS,
    columns=(
        fact("user", pl.String, "Whose jobs they are."),
        fact("account", pl.String, "The account that is charged; empty for alerts on many jobs."),
        fact("reason", pl.String, "The rule of waste; empty for alerts on many jobs."),
        fact("waste_notifications_total", pl.Int64, "Alerts of which people were told.",
             sample=Sample(family=_COUNT, label_columns={"reason": "reason"})),
    ),
)  # fmt: skip
_MANY: Final = "the alert is about many jobs"
ALERTS: Final = Table(
    name="alerts", of="alert", collect="users", labels=_LABELS,
    columns=(
        fact("job_id", pl.Int64, "Numeric id of the job.", _MANY),
        fact("user", pl.String, "Whose jobs they are."),
        fact("account", pl.String, "The account that is charged.", _MANY),
        fact("reason", pl.String, "The rule of waste.", _MANY),
        fact("severity", pl.String, "How bad it is.", "the alert has none"),
        fact("start_timestamp_seconds", pl.Float64, "Since when it fires, by Prometheus's clock."),
        fact("first_notified_timestamp_seconds", pl.Float64, "When people were first told."),
        fact("last_notified_timestamp_seconds", pl.Float64, "When people were last told, of its end too."),
        fact("resolved_timestamp_seconds", pl.Float64, "When it ended.", "it fires, or its end was not told"),
        fact("fingerprint", pl.String, "Alertmanager's name of what fires."),
    ),
)  # fmt: skip
