"""How times, findings and sources look in JSON: pure functions."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from aggregator.api.answer import Epoch, Time
from aggregator.api.freshness import REPLICA, age, is_stale
from aggregator.model.moment import rfc3339
from aggregator.model.view import SourceStatus
from aggregator.model.waste import FIELDS, Finding, Judgement, Rule


class FreshnessShown(TypedDict):
    """How fresh a source is."""

    source: str
    up: bool
    stale: bool
    last_success_time: Time
    last_success_timestamp_seconds: Epoch
    error: str | None


class SourceShown(FreshnessShown):
    """All that is known of the last fetch of a source."""

    scope: str
    age_seconds: float | None
    last_attempt_time: Time
    last_attempt_timestamp_seconds: Epoch
    duration_seconds: float
    rows: int
    failed_inputs: dict[str, str]
    rejected: dict[str, int]
    features: dict[str, bool]


class FindingShown(TypedDict):
    """What a rule has found of a run, and the condition that decides it."""

    reason: str
    severity: str
    resource: str
    message: str
    fix: str | None
    documentation: str | None
    field: str
    value: float
    operator: str
    threshold: float
    unit: str
    coverage: float | None


class NotJudgedShown(TypedDict):
    """Why a rule was not applied; null stands for every rule."""

    rule: str | None
    because: str


Json = dict[str, Any]
# One row of a frame: its values by column.
Row = Mapping[str, Any]
_TIME: Final = "_timestamp_seconds"


def times(event: str, epoch: float | None) -> Json:
    """Show a time twice: for people and for programs."""
    return {f"{event}_time": rfc3339(epoch), f"{event}{_TIME}": epoch}


def waste_json(judgement: Judgement) -> Json:
    """Show what the rules of waste say of a run; a rule of null stands for every rule."""
    return {
        "waste": [_finding_json(finding) for finding in judgement.findings],
        "not_judged": [{"rule": each.rule or None, "because": each.because} for each in judgement.not_judged],
    }


def _finding_json(finding: Finding) -> Json:
    """Show one finding, with the condition that decides it."""
    rule, condition = finding.rule, finding.condition
    return {
        "reason": finding.reason,
        "severity": finding.severity,
        **rule_text(rule),
        "field": condition.field,
        "value": finding.value,
        "operator": condition.operator,
        "threshold": condition.threshold,
        "unit": FIELDS[condition.field].unit,
        "coverage": finding.coverage,
    }


def rule_text(rule: Rule) -> Json:
    """Show what a rule says to people."""
    return {
        "resource": rule.resource,
        "message": rule.message,
        "fix": rule.fix or None,
        "documentation": rule.documentation or None,
    }


def freshness_json(status: SourceStatus, now: float, stale_after: float) -> Json:
    """Show how fresh a source is, in words that change only when it does, so that an ETag can hold."""
    return {
        "source": status.source,
        "up": status.up,
        "stale": is_stale(status, now, stale_after),
        **times("last_success", status.last_success),
        **({"lag_seconds": status.lag_seconds} if status.source == REPLICA else {}),
        "error": status.error or None,
    }


def source_json(status: SourceStatus, now: float, stale_after: float) -> Json:
    """Show all that is known of a source's last fetch."""
    return {
        **freshness_json(status, now, stale_after),
        "scope": status.scope,
        "age_seconds": age(status, now),
        **times("last_attempt", status.last_attempt),
        "duration_seconds": status.duration_seconds,
        "rows": status.rows,
        "failed_inputs": dict(status.failed_inputs),
        "rejected": dict(status.rejected),
        "features": dict(status.features),
    }
