"""A site with all exporters (`full_site.py`): jobs end and begin, and each of the rarer sources fails once."""

from collections.abc import Generator, Iterator

from tests.differential.bench import Bench, Moment
from tests.differential.inputs.full_site import config, fill, pending
from tests.differential.inputs.schedule import Schedule
from tests.differential.pair import ROUNDS_AFTER_FAULT, Pair
from tests.scenarios.proxy import Fault, only, unavailable
from tests.scenarios.site import Site


def exporters(bench: Bench) -> Generator[Moment, None, None]:
    """Read it all, let jobs end and begin, start again, and let exporters and Prometheus fail."""
    with Site(bench.servers, bench.root) as site:
        fill(site)
        with bench.serve("exporters", config(site), site.samples.zero - 120.0) as pair:
            yield Moment("start", pair)
            pair.clock.set(site.samples.zero - 60.0)
            yield Moment("1 min later", pair)
            site.end(500, -30.0)
            site.end(503, -40.0, state=5)
            pending(site, 514)
            pair.clock.set(site.samples.zero)
            yield Moment("jobs have ended", pair)
            pair.restart()
            yield Moment("restart", pair)
            yield from _faults(site, pair)


def _faults(site: Site, pair: Pair) -> Iterator[Moment]:
    schedule = Schedule(site.proxy)
    for name, text in (("no Lustre", "lustre"), ("no quotas", "quota"), ("no cloud", "libvirt")):
        _step(pair, schedule, only(text, unavailable))
        yield Moment(name, pair, ROUNDS_AFTER_FAULT)
    _step(pair, schedule, None)
    yield Moment("all is back", pair, ROUNDS_AFTER_FAULT)
    # No exporter was scraped any more.
    pair.clock.set(pair.clock.at + 1200.0)
    yield Moment("no samples any more", pair, ROUNDS_AFTER_FAULT)


def _step(pair: Pair, schedule: Schedule, fault: Fault | None) -> None:
    at = pair.clock.at + 15.0
    schedule.set(at, fault)
    pair.clock.set(at)
