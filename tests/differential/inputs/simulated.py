"""The simulation of tests/simulation: hours of labelled jobs, read at several moments, with faults between."""

from collections.abc import Generator, Iterator
from typing import Any

from tests.differential.bench import Bench, Moment
from tests.differential.inputs.schedule import Schedule
from tests.differential.pair import ROUNDS_AFTER_FAULT, Pair
from tests.lab.mariadb import MariaDB
from tests.scenarios.proxy import Proxy, empty, only, unavailable
from tests.simulation.site import FIRST, Simulation, simulate
from tests.simulation.world import MINUTE

_STALE_AFTER = 60.0
_START = -230 * MINUTE


def simulated(bench: Bench) -> Generator[Moment, None, None]:
    """Start in the middle of the world's time, and go to its end: every fault once, and ends in the middle of work."""
    mariadb = bench.servers.mariadb
    with simulate(mariadb) as simulation:
        site = simulation.site
        with bench.serve("simulated", _config(simulation), simulation.zero + _START) as pair:
            yield Moment("start", pair)
            yield from _times(pair, simulation, {"20 s later": 20.0, "1 min later": 60.0, "15 min later": 900.0})
            pair.restart()
            yield Moment("restart", pair)
            yield from _faults(pair, site.proxy)
            yield from _crash(pair)
            yield from _outage(pair, mariadb)
            pair.clock.set(simulation.zero)
            yield Moment("the end of the world's time", pair)


def _times(pair: Pair, simulation: Simulation, steps: dict[str, float]) -> Iterator[Moment]:
    for name, seconds in steps.items():
        pair.clock.set(pair.clock.at + seconds)
        yield Moment(name, pair)


def _faults(pair: Pair, proxy: Proxy) -> Iterator[Moment]:
    """Let Prometheus fail as a whole, for longer than data hold, and then in one input."""
    schedule = Schedule(proxy)
    for name, seconds, fault in (
        ("Prometheus answers 503", 30.0, unavailable),
        ("503 for too long", 3 * _STALE_AFTER, unavailable),
        ("Prometheus is back", 30.0, None),
        ("no series of memory", 60.0, only("slurm_job_memory", empty)),
        ("queries of GPUs fail", 60.0, only("gpu", unavailable)),
        ("all is back", 30.0, None),
    ):
        at = pair.clock.at + seconds
        schedule.set(at, fault)
        pair.clock.set(at)
        yield Moment(name, pair, ROUNDS_AFTER_FAULT)


def _crash(pair: Pair) -> Iterator[Moment]:
    """Kill both while their ledgers catch up: it is more than one batch of windows."""
    before = pair.clock.at
    pair.clock.set(before + 150 * MINUTE)
    pair.wait_ledgers(before)
    pair.restart(kill=True)
    yield Moment("killed while it caught up", pair)


def _outage(pair: Pair, mariadb: MariaDB) -> Iterator[Moment]:
    mariadb.kill()
    for name, seconds in (("MariaDB is away", 30.0), ("MariaDB is away for too long", 3 * _STALE_AFTER)):
        pair.clock.set(pair.clock.at + seconds)
        yield Moment(name, pair, ROUNDS_AFTER_FAULT)
    mariadb.start()
    pair.clock.set(pair.clock.at + 30.0)
    yield Moment("MariaDB is back", pair, ROUNDS_AFTER_FAULT)


def _config(simulation: Simulation) -> dict[str, Any]:
    config = simulation.config("", 1, simulation.site.proxy.url)
    (cluster,) = config["clusters"].values()
    cluster["prometheus"]["timeout"] = "10m"
    config["refresh"]["stale_after"] = f"{_STALE_AFTER:g}s"
    # From the world's first minutes on, whenever the clock begins; the ledger cuts it to a minute.
    config["energy"]["backfill"] = f"{_START - FIRST - 45:g}s"
    return config
