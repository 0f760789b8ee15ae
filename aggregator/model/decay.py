"""How slurmctld lets usage fade: by half-lives, and away at the start of each period."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from aggregator.model.calendar import DAY, Calendar

ResetPeriod = Literal["none", "daily", "weekly", "monthly", "quarterly", "yearly"]
# After so many half-lives less than a thousandth is left, which is not looked for.
HALF_LIVES: Final = 10


@dataclass(frozen=True, slots=True)
class Decay:
    """PriorityDecayHalfLife in seconds, 0 for none, and PriorityUsageResetPeriod."""

    half_life: float = 7 * DAY
    reset_period: ResetPeriod = "none"

    @property
    def halvings_per_second(self) -> float:
        """Give how often usage is halved in a second."""
        return 1 / self.half_life if self.half_life else 0.0

    def weight(self, age: float) -> float:
        """Give what is left of usage after so many seconds."""
        return math.pow(0.5, age * self.halvings_per_second)

    def mean_weight(self, begin: float, end: float, at: float) -> float:
        """Give what is left at `at` of usage that was spread evenly over [begin, end)."""
        fading = (end - begin) * self.halvings_per_second * math.log(2)
        # Not the difference of both ends' weights: of a short time that would be of the last digits.
        return self.weight(at - end) * (-math.expm1(-fading) / fading if fading > 0 else 1.0)

    def since(self, at: float, calendar: Calendar) -> float:
        """Tell from when on usage counts at `at`: the last reset, or the midnight before which too little is left."""
        faded = calendar.floor(at - HALF_LIVES * self.half_life, "day") if self.half_life else 0.0
        return max(self._last_reset(at, calendar), faded)

    def _last_reset(self, at: float, calendar: Calendar) -> float:
        """Give the midnight of the last reset; weeks begin on Sunday, quarters in January."""
        today = calendar.day_of(at)
        days = {
            "daily": today,
            "weekly": today - timedelta(days=today.isoweekday() % 7),
            "monthly": today.replace(day=1),
            "quarterly": today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1),
            "yearly": today.replace(month=1, day=1),
        }
        return 0.0 if self.reset_period == "none" else calendar.midnight(days[self.reset_period])
