"""Alerts: how often people were told of the waste of whose jobs."""

from aggregator.engine.part import Part
from aggregator.parts.alerts.columns import USER_ALERTS
from aggregator.parts.alerts.join import join_alerts

PART = Part(name="alerts", join=join_alerts, tables=(USER_ALERTS,))
