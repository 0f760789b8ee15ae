"""The service under load: how late its loop is, and how long scrapers and clients of the API wait."""

import statistics
import time
from collections.abc import Callable

from tests.bench.figures import Figure
from tests.bench.load import Answers, asking
from tests.bench.running import Running
from tests.bench.sizes import Sizes

_SCRAPERS, _SCRAPE_PAUSE = 4, 1.0
_CLIENTS, _CLIENT_PAUSE = 4, 0.1
_JOBS = 30
_MILLISECONDS = 1e3


def under_load(place: Running, sizes: Sizes, change: Callable[[int], None]) -> dict[str, Figure]:
    """Let scrapers and clients of the API ask while the service refreshes.

    *change* ends and changes jobs before each refresh; it is given how many have ended by then, 30 more each time.
    """
    paths = {"api_job": place.below(f"/jobs/{place.running_job()}"), "api_list": place.below("/jobs?limit=100"),
             "api_status": "/api/v1/status"}  # fmt: skip
    url = place.service.url
    with (
        place.ticking(),
        asking(url, _SCRAPERS, _SCRAPE_PAUSE, ["/metrics"]) as scrapes,
        asking(url, _CLIENTS, _CLIENT_PAUSE, list(paths.values())) as answers,
    ):
        began = time.monotonic()
        refreshes = _let_refresh(place, sizes, change)
        ended = time.monotonic()
    late, own = place.board.lateness(began, ended), place.board.lateness(began, ended, own=True)
    note = f"{_without_others(_p99(own) / _MILLISECONDS)}; {refreshes:.0f} refreshes in {ended - began:.0f} s"
    return {
        "late_p99": Figure(_p99(late), note=note),
        "late_max": Figure(max(late, default=0.0) * _MILLISECONDS, note=_without_others(max(own, default=0.0))),
        "scrape": _of(scrapes[0], "/metrics"),
        **{key: _of(answers[0], path) for key, path in paths.items()},
        "api_max": Figure(max(max(answers[0].seconds[path], default=0.0) for path in paths.values()) * _MILLISECONDS),
    }


def _let_refresh(place: Running, sizes: Sizes, change: Callable[[int], None]) -> float:
    """Wait for as many refreshes as are asked for, and give how many there were."""
    first, end = place.moment().fetches, time.monotonic() + sizes.load_most
    step = 0
    while (done := place.moment().fetches - first) < sizes.load_refreshes and time.monotonic() < end:
        step += _JOBS
        change(step)
        time.sleep(sizes.interval)
    return done


def _without_others(seconds: float) -> str:
    return f"{seconds * _MILLISECONDS:.1f} ms without waiting for a CPU"


def _of(answers: Answers, path: str) -> Figure:
    seconds = answers.seconds[path]
    if not seconds:
        return Figure(note=f"no answer, {answers.failures} FAILED")
    failures = f", {answers.failures} FAILED" if answers.failures else ""
    median, most = statistics.median(seconds) * _MILLISECONDS, max(seconds) * _MILLISECONDS
    return Figure(_p99(seconds), note=f"p50 {median:.1f}, worst {most:.0f} of {len(seconds):,}{failures}")


def _p99(seconds: list[float]) -> float:
    """Give the 99th percentile in milliseconds."""
    return sorted(seconds)[int(0.99 * (len(seconds) - 1))] * _MILLISECONDS
