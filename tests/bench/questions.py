"""Questions over all jobs, at the largest size: how long an answer takes, and how late the loop is meanwhile."""

import statistics
import time

from tests.bench.clocks import cpu_seconds
from tests.bench.figures import Figure
from tests.bench.running import Running

_MILLISECONDS = 1e3
# No question is asked longer than this, however slow its answers are.
_MOST_SECONDS = 8.0


def measure(place: Running, repeats: int) -> dict[str, Figure]:
    """Ask each question some times, while no refresh runs."""
    user = place.data(place.below("/users?limit=1"))["users"][0]["user"]
    paths = {
        "sort": "/jobs?sort=-wasted_cpus&limit=100",
        "group by user": "/jobs?group_by=user&sort=-wasted_cpus&limit=100",
        "group by account": "/jobs?group_by=account&sort=-wasted_gpus&limit=100",
        "filter by user": f"/jobs?user={user}&limit=100",
        "filter by waste": "/jobs?severity=critical&limit=100",
        "pending": "/jobs?state=pending&limit=100",
    }
    runs = sum(each["count"] for each in place.data(place.below(""))["jobs"])
    with place.at_rest(), place.ticking():
        began = time.monotonic()
        found = {name: _ask(place, place.below(path), repeats) for name, path in paths.items()}
        ended = time.monotonic()
    late, own = (max(place.board.lateness(began, ended, own=own), default=0.0) for own in (False, True))
    name, (seconds, cpu) = max(found.items(), key=lambda item: item[1])
    note = f"{name}, {cpu * _MILLISECONDS:.1f} ms of CPU; {runs:,} jobs open"
    return {
        "question": Figure(seconds * _MILLISECONDS, note=note),
        "question_late": Figure(late * _MILLISECONDS, note=f"{own * _MILLISECONDS:.1f} ms without waiting for a CPU"),
    }


def _ask(place: Running, path: str, repeats: int) -> tuple[float, float]:
    """Give the median seconds until the answer, and the mean of the service's CPU for it."""
    before, seconds = cpu_seconds(place.pid), list[float]()
    while len(seconds) < repeats and sum(seconds) < _MOST_SECONDS:
        began = time.perf_counter()
        place.data(path)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), (cpu_seconds(place.pid) - before) / len(seconds)
