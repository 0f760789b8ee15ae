"""How the service stands a fault under load: what is served meanwhile, and how soon all is as before."""

import time
from dataclasses import dataclass

from tests.faults.crowd import JOBS, all_known
from tests.faults.load import API, NO_ANSWER, SCRAPE, Load
from tests.faults.provoked import FAULTS, RESTARTS
from tests.lab.process import wait_until
from tests.scenarios.site import Site

# What an API may say while something is away: it, what is behind it, the time or the number of requests.
_MEANWHILE = {200, 429, 502, 503, 504}
# Two refreshes of a second, the longest back-off of a source, and what a machine takes that forty clients use.
_RECOVERED_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fault that was stood: what was wrong with it, answers that it was asked for, seconds until all was as before.

    An empty `wrong` is success.
    """

    fault: str
    wrong: tuple[str, ...]
    answers: int
    recovery: float


def survive(site: Site, load: Load, fault: str, scrapes: int = 12) -> Outcome:
    """Provoke a fault until so many scrapes were answered, end it, and wait until all is as before."""
    load.forget()
    with FAULTS[fault](site):
        wait_until(lambda: load.count(SCRAPE) >= scrapes, 120, f"{scrapes} scrapes while: {fault}")
        wrong = list(_meanwhile(site, load, fault))
    started = time.monotonic()
    try:
        wait_until(lambda: is_whole(site), _RECOVERED_SECONDS, f"the end of: {fault}")
    except TimeoutError as error:
        wrong.append(str(error))
    recovery = time.monotonic() - started
    wrong += [f"a counter went back: {each}" for each in sorted(load.gone_back)]
    return Outcome(fault, tuple(wrong), sum(load.forget().values()), recovery)


def is_whole(site: Site) -> bool:
    """Tell whether every source is up and every job's use is known."""
    up = site.samples_of("hpc_aggregator_source_up")
    return bool(up) and all(up.values()) and all_known(site)


def _meanwhile(site: Site, load: Load, fault: str) -> list[str]:
    wrong = []
    if (health := load.answer("/-/healthy")[0]) != 200:
        wrong.append(f"health was answered {health}")
    nobody = {NO_ANSWER} if fault in RESTARTS else set()
    if others := load.statuses(SCRAPE) - {200} - nobody:
        wrong.append(f"scrapes were answered {sorted(others)}")
    if others := load.statuses(API) - _MEANWHILE - nobody:
        wrong.append(f"the API answered {sorted(others)}")
    if (shown := len(site.samples_of("hpc_job_allocated_cpus"))) != len(JOBS):
        wrong.append(f"{shown} of {len(JOBS)} jobs are shown")
    return wrong
