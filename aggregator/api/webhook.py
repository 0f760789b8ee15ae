"""What Alertmanager's webhook brings: version 4 of its payload. Pure, for it runs in a thread."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from aggregator.api.errors import BadData
from aggregator.api.jobscript_batch import reword
from aggregator.model.alert import WasteAlert
from aggregator.state.tables import storable

_VERSION: Final = "4"
# The alert of rules/alerts that is about many jobs of a user.
_MANY: Final = "HpcUserWasteInBulk"
_MAX_JOB_ID: Final = 2**32
_SHOWN: Final = 100


class AlertPosted(Struct, frozen=True, kw_only=True):
    """An alert of the payload. Times are RFC 3339; an alert that fires has none at its end."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] = msgspec.field(name="startsAt")
    ends_at: str = msgspec.field(name="endsAt", default="")
    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{1,64}$")]


class WebhookPosted(Struct, frozen=True, kw_only=True):
    """Alertmanager's payload. It has more fields, which are not read."""

    version: Literal["4"]
    alerts: list[AlertPosted]
    truncated: Annotated[int, Meta(ge=0)] = msgspec.field(name="truncatedAlerts", default=0)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The alerts on waste, how many others there are, and how many Alertmanager has left out."""

    alerts: list[WasteAlert]
    ignored: int
    truncated: int


def read_webhook(body: bytes, clusters: Collection[str], now: float) -> Webhook:
    """Read a payload that comes at epoch time `now`; alerts of other clusters are not ours.

    Raises BadData that names what is wrong. Unknown fields are fine.
    """
    payload = _payload(body)
    found = [_waste(alert, _start(alert, number), now) for number, alert in enumerate(payload.alerts)]
    alerts = [alert for alert in found if alert is not None and alert.cluster in clusters]
    return Webhook(alerts, len(found) - len(alerts), payload.truncated)


def _payload(body: bytes) -> WebhookPosted:
    try:
        # Unlike faster parsers it reads lone surrogates: a hostile name must not hide the other alerts.
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadData(f"the body is not JSON: {str(error)[:_SHOWN]}") from None
    version: Any = content.get("version") if isinstance(content, dict) else None
    if version != _VERSION:
        raise BadData(f'version: must be "{_VERSION}", as Alertmanager sends it, got {str(version)[:_SHOWN]}')
    try:
        return msgspec.convert(content, WebhookPosted)
    except msgspec.ValidationError as error:
        raise BadData(reword(str(error), "the payload")) from None


def _start(alert: AlertPosted, number: int) -> float:
    start = _time(alert.starts_at)
    if start is None:
        raise BadData(f"alerts[{number}].startsAt: must be a time of RFC 3339, got {alert.starts_at[:_SHOWN]!r}")
    return start


def _time(text: str) -> float | None:
    """Give the epoch seconds, in milliseconds that every database keeps; None for none, such as Go's year 1."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = moment.timestamp() if moment.tzinfo else 0.0
    return round(seconds, 3) if seconds > 0 else None


def _waste(alert: AlertPosted, start: float, now: float) -> WasteAlert | None:
    """Give an alert that is about the waste of a job, or of many jobs of a user; None for another one."""
    user, account, reason, severity = (_name(alert, label) for label in ("user", "account", "reason", "severity"))
    is_many = alert.labels.get("alertname") == _MANY
    job_id = None if is_many else _job_id(alert.labels.get("slurmjobid", ""))
    if user is None or not (is_many or (job_id and account and reason)):
        return None
    return WasteAlert(
        cluster=alert.labels.get("cluster", ""),
        fingerprint=alert.fingerprint,
        start=start,
        resolved=(_time(alert.ends_at) or now) if alert.status == "resolved" else None,
        user=user,
        account=account,
        job_id=job_id,
        reason=reason,
        severity=severity,
    )


def _name(alert: AlertPosted, label: str) -> str | None:
    """Give a name as it will be read again: to MariaDB spaces at the end are no difference."""
    return storable(alert.labels.get(label, "")).rstrip() or None


def _job_id(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_JOB_ID))
    return int(text) if is_number and 0 < int(text) < _MAX_JOB_ID else None
