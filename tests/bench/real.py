"""`serve` in front of a real MariaDB and a real Prometheus: what it costs, and how it answers under load."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import demos, slurmacct
from tests.bench.figures import Figure
from tests.bench.load import Answers, asking
from tests.bench.running import Running
from tests.bench.site import RealSite
from tests.bench.sizes import Sizes
from tests.large_table import CLUSTER

_SCRAPERS, _SCRAPE_PAUSE = 4, 1.0
_CLIENTS, _CLIENT_PAUSE = 4, 0.1
_MILLISECONDS = 1e3
# Which ended within the time that each refresh looks back on, and since the last.
_LOOKED_BACK_SECONDS = 120.0


def measure(sizes: Sizes, root: Path) -> dict[str, Figure]:
    """Fill the servers, and measure the service in front of them."""
    with RealSite(root / "site", sizes) as site:
        with ThreadPoolExecutor(1) as pool:
            # Filling takes a minute, and what is flat does not depend on how busy the machine is.
            filling = pool.submit(site.fill)
            found = demos.flat(sizes, root / "flat")
            filling.result()
        found |= slurmacct.measure(site, sizes.repeats)
        site.observe()
        command = ["serve", f"--config.file={site.configure(sizes.interval)}"]
        with Running(root / "serve", CLUSTER, command) as place:
            return found | _measure(site, place, sizes)


def _measure(site: RealSite, place: Running, sizes: Sizes) -> dict[str, Figure]:
    cpu, seconds = place.start()
    found = {"start": Figure(cpu, note=f"in {seconds:.1f} s")}
    found |= _cost(site, place, sizes)
    site.series.write(site.prometheus.url)
    found |= _under_load(site, place, sizes)
    resident, most = place.memory()
    return found | {"memory": Figure(resident, note=f"at most {most:.0f} MB")}


def _cost(site: RealSite, place: Running, sizes: Sizes) -> dict[str, Figure]:
    """Measure refreshes that nothing disturbs, and what they read."""
    place.next_refresh()
    rows, before = site.rows_read(), place.moment()
    cost = place.refresh_cost(sizes.refreshes, sizes.interval)
    fetches = place.moment().fetches - before.fetches
    rows_now = site.rows_read()
    needed = sizes.open_rows + _LOOKED_BACK_SECONDS + sizes.interval
    samples, page = place.page_size()
    return {
        "refresh_real": Figure(cost, note=f"{samples:,} samples, {page / 1e6:.1f} MB of gzip"),
        "rows": Figure((rows_now.all - rows.all) / fetches, needed),
        "scans": Figure(rows_now.scanned(rows) / fetches),
    }


def _under_load(site: RealSite, place: Running, sizes: Sizes) -> dict[str, Figure]:
    """Let scrapers and clients of the API ask while the service refreshes and jobs come and go."""
    paths = {"api_job": place.below(f"/jobs/{place.running_job()}"), "api_list": place.below("/jobs?limit=100"),
             "api_status": "/api/v1/status"}  # fmt: skip
    url = place.service.url
    with (
        asking(url, _SCRAPERS, _SCRAPE_PAUSE, ["/metrics"]) as scrapes,
        asking(url, _CLIENTS, _CLIENT_PAUSE, list(paths.values())) as answers,
    ):
        began = time.monotonic()
        refreshes = _let_refresh(site, place, sizes)
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


def _let_refresh(site: RealSite, place: Running, sizes: Sizes) -> float:
    """Wait for so many refreshes, 30 jobs ending before each; give how many there were."""
    first, end = place.moment().fetches, time.monotonic() + sizes.load_most
    step = 0
    while (done := place.moment().fetches - first) < sizes.load_refreshes and time.monotonic() < end:
        step += 30
        site.table.change(step)
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
