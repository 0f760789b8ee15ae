"""How often were people told of the waste of whose jobs?"""

import polars as pl

from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.model.alert import AlertCounts
from aggregator.parts.energy.join import QUIET_SECONDS


def join_alerts(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Show the users of whom people were told lately; the state keeps the counts of the others."""
    known = inputs.get(AlertCounts)
    if known is None:
        return {}
    recent = known.counts.filter(pl.col("until") >= at - QUIET_SECONDS).sort("account", "user", "reason")
    return {"user_alerts": recent.rename({"count": "waste_notifications_total"})}
