"""Read the usage that counts for fair share and for limits of minutes, as decayed by the time of the reading."""

from typing import Final

from aggregator.model.calendar import DAY, Calendar, Rolled, Segment, cover, covered_until
from aggregator.model.decay import Decay
from aggregator.model.usage import DecayedUsage, UsageCatalog, is_allocated
from aggregator.sources.base import UsageReader

# What slurmctld computes fair share from.
BILLING: Final = "billing"
# Hours are read for the newest half-life, and not for longer than this; within a day before, usage counts as even.
_HOURS_SECONDS: Final = 7 * DAY


async def read_decayed(reader: UsageReader, catalog: UsageCatalog, decay: Decay, at: float) -> DecayedUsage:
    """Read each association's billing, and the TRES of which it may use so many minutes.

    Raises FetchError.
    """
    since = begin_of(catalog, decay, at)
    tres = tres_of(catalog)

    def plan(rolled: Rolled) -> list[Segment]:
        return plan_of(decay, since, at, rolled, catalog.calendar)

    rolled, found = await reader.decayed(tuple(catalog.associations), tres, plan, decay, at)
    return DecayedUsage(decay, at, since, covered_until(plan(rolled), since), tres, found)


def tres_of(catalog: UsageCatalog) -> frozenset[str]:
    """Choose what is needed: of the limited TRES those that the jobs' own rows tell too, for the time since."""
    limited = filter(is_allocated, catalog.limited)
    return frozenset(catalog.tres.values()) & {BILLING, *limited}


def begin_of(catalog: UsageCatalog, decay: Decay, at: float) -> float:
    """Tell from when on usage counts, and is there."""
    oldest = min(catalog.first.values(), default=at)
    return max(decay.since(at, catalog.calendar), catalog.calendar.floor(oldest, "month"))


def plan_of(decay: Decay, since: float, at: float, rolled: Rolled, calendar: Calendar) -> list[Segment]:
    """Cover the time that counts: with the coarsest rows where all count the same, else days and then hours."""
    if not decay.half_life:
        return cover(since, at, rolled, calendar, "month")
    fine = max(since, calendar.floor(at - min(decay.half_life, _HOURS_SECONDS), "day"))
    days = cover(since, fine, rolled, calendar, "day")
    return days if covered_until(days, since) < fine else [*days, *cover(fine, at, rolled, calendar, "hour")]
