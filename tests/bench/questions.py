"""Questions over all jobs, at the largest size: how long an answer takes, and how late the loop is meanwhile."""

import statistics
import time

from tests.bench.figures import Figure
from tests.bench.running import Running

_MILLISECONDS = 1e3
# No question is asked longer than this, however slow its answers are.
_MOST_SECONDS = 8.0


def measure(place: Running, repeats: int) -> dict[str, Figure]:
    """Ask each question some times, while no refresh runs."""
    user = place.data(place.below("/users?limit=1"))["users"][0]["user"]
    paths = {
        "sort": "/top?by=wasted_cpus&group=job&limit=100",
        "group by user": "/top?by=wasted_cpus&group=user&limit=100",
        "group by account": "/top?by=wasted_gpus&group=account&limit=100",
        "filter by user": f"/jobs?user={user}&limit=100",
        "filter by waste": "/jobs?severity=critical&limit=100",
        "pending": "/jobs?state=pending&limit=100",
    }
    runs = sum(place.data(place.below(""))["jobs"].values())
    with place.at_rest():
        began = time.monotonic()
        seconds = {name: _median(place, place.below(path), repeats) for name, path in paths.items()}
        ended = time.monotonic()
    late, own = (max(place.board.lateness(began, ended, own=own), default=0.0) for own in (False, True))
    slowest = max(seconds, key=lambda name: seconds[name])
    return {
        "question": Figure(seconds[slowest] * _MILLISECONDS, note=f"{slowest}; {runs:,} jobs open"),
        "question_late": Figure(late * _MILLISECONDS, note=f"{own * _MILLISECONDS:.1f} ms without waiting for a CPU"),
    }


def _median(place: Running, path: str, repeats: int) -> float:
    seconds = list[float]()
    while len(seconds) < repeats and sum(seconds) < _MOST_SECONDS:
        began = time.perf_counter()
        place.data(path)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
