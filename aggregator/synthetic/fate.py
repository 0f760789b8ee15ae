"""How long a run is, and how it ends."""

import math
from random import Random
from typing import Final

from aggregator.model.accounting import JobState
from aggregator.synthetic.profiles import Profile

_SHORTEST: Final = 20.0
_OUTCOMES: Final = ((0.05, JobState.FAILED), (0.03, JobState.CANCELLED), (0.01, JobState.REQUEUED))


def draw_seconds(rng: Random, profile: Profile, *, length_biased: bool = False) -> float:
    """Draw the seconds that a run takes, up to its limit; length-biased of one that is met at some moment."""
    center = math.log(profile.median_minutes * 60) + (profile.sigma**2 if length_biased else 0.0)
    drawn = round(rng.lognormvariate(center, profile.sigma))
    return min(max(_SHORTEST, drawn), profile.limit_hours * 3600)


def draw_outcome(rng: Random, profile: Profile, seconds: float) -> JobState:
    """Draw how a run of so many seconds ends."""
    if seconds >= profile.limit_hours * 3600:
        return JobState.TIMEOUT
    drawn = rng.random()
    for share, state in ((profile.out_of_memory, JobState.OUT_OF_MEMORY), *_OUTCOMES):
        drawn -= share
        # Slurm requeues a heterogeneous job as a whole; here each component ends alone.
        if drawn < 0 and (state is not JobState.REQUEUED or len(profile.components) == 1):
            return state
    return JobState.COMPLETED
