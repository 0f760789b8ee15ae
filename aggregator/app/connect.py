"""`check --connect`: try once every source, the addresses and the state, and say what came of it."""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from aggregator.app.brought import what_is_brought
from aggregator.app.check_report import Outcome
from aggregator.app.site import ClusterSources, Site, open_site
from aggregator.config import Config, ListenAddress
from aggregator.model.job_inputs import Accounting, Use
from aggregator.model.replication import Replication
from aggregator.parts.nodes.agreement import compare_gpus
from aggregator.sources.base import FetchError, Remote, Source, UsageReader
from aggregator.sources.prometheus import Presence
from aggregator.state import StateError
from aggregator.state.probe import probe

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing to try; what it gives is a text, an Outcome or nothing to say. It is left out where `needs` failed."""

    what: str
    ask: Callable[[], Awaitable[object]]
    needs: tuple[str, ...] = ()


async def try_all(config: Config, addresses: Sequence[ListenAddress]) -> list[Outcome]:
    """Try all that `serve` needs: each source, the addresses to listen on, and the state."""
    return [*await connect(config), *await _try_start(config, addresses)]


async def connect(config: Config) -> list[Outcome]:
    """Fetch each source once, and look which series there are; a source that fails is there once."""
    async with open_site(config) as site:
        return await attempt_all(_of_site(site, config, time.time()))


async def attempt_all(attempts: Iterable[Attempt]) -> list[Outcome]:
    """Try one after another, but for those that need what has failed."""
    outcomes: list[Outcome] = []
    failed: set[str] = set()
    for attempt in attempts:
        if failed.isdisjoint(attempt.needs):
            outcome = await _try(attempt)
            outcomes.append(outcome)
            failed |= {attempt.what} if outcome.error else set()
    return outcomes


async def _try_start(config: Config, addresses: Sequence[ListenAddress]) -> list[Outcome]:
    binding = [Attempt(f"server.listen_address {address}", lambda a=address: _bind(a)) for address in addresses]  # type: ignore[misc]
    return await attempt_all([*binding, Attempt("state.url", lambda: probe(config.state))])


async def _bind(address: ListenAddress) -> Outcome:
    """Listen and stop at once. An address in use is no error: the service itself may be running."""
    what = f"server.listen_address {address}"
    try:
        server = await asyncio.start_server(lambda *_: None, address.host or None, address.port)
    except socket.gaierror as error:
        raise FetchError(f"server.listen_address: {address}: this host is not known: {error.strerror}") from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise FetchError(f"server.listen_address: cannot listen on {address}: {error.strerror}") from error
        return Outcome(
            what, "in use", warnings=("in use: another process listens there, or this service already runs",)
        )
    server.close()
    await server.wait_closed()
    return Outcome(what, "free")


def _of_site(site: Site, config: Config, now: float) -> Iterator[Attempt]:
    for name, cluster in site.clusters.items():
        yield from _of_cluster(f"clusters.{name}", cluster, now)
    for name, item in site.filesystems.items():
        if item.usage:
            yield _log_in(f"filesystems.{name}.robinhood", item.usage, now)
        if item.quotas:
            of_cluster = f"clusters.{config.filesystems[name].cluster}.prometheus"
            yield _fetch(f"filesystems.{name}.quota", item.quotas.counts, now, of_cluster)
    for name, cloud in site.clouds.items():
        yield _fetch(f"cloud.{name}", cloud.use, now)
        if cloud.presence:
            yield _look(f"cloud.{name}.prometheus", cloud.presence, now, f"cloud.{name}")
    if site.allocations:
        yield _fetch("allocations.file", site.allocations, now)


def _of_cluster(key: str, cluster: ClusterSources, now: float) -> Iterator[Attempt]:
    """Name what is read of a cluster; a text that comes of it is for the administrator."""
    slurmacct, prometheus = f"{key}.slurmacct", f"{key}.prometheus"
    yield _log_in(slurmacct, cluster.accounting, now)
    if usage := cluster.on_demand.usage:
        yield Attempt(f"{slurmacct} (usage)", lambda: _read_usage(usage), (slurmacct,))
    if replica := cluster.replica:
        yield Attempt(f"{slurmacct}.replica", lambda: _measure(replica, now))
    if cluster.presence:
        yield _look(prometheus, cluster.presence, now)
    if use := cluster.use:
        yield Attempt(f"{prometheus} (use of jobs)", lambda: _read_use(use, now), (prometheus,))
        needs = (slurmacct, prometheus, f"{prometheus} (use of jobs)")
        yield Attempt(f"{key} (GPUs)", lambda: _compare(cluster.accounting, use, now), needs)
    for part, sources in cluster.parts.items():
        for source in sources:
            yield _fetch(f"{key}.parts.{part}" + f" ({source.name})" * (source.name != part), source, now)
    if power := cluster.power:
        begin = now - now % power.window
        yield Attempt(f"{prometheus} (energy)", lambda: power.windows(begin, 1), (prometheus,))


def _fetch(what: str, source: Source[object], now: float, *needs: str) -> Attempt:
    return Attempt(what, lambda: source.fetch(now), needs)


def _look(what: str, presence: Presence, now: float, *needs: str) -> Attempt:
    async def look() -> Outcome:
        found = await presence.look(now)
        said = [*map(str, found), *(f"{name} has series, and is not in use" for name in await presence.others(now))]
        return Outcome(what, "; ".join(said), "", tuple(text for seen in found for text in seen.warnings))

    return Attempt(what, look, needs)


def _log_in(what: str, source: Source[object], now: float) -> Attempt:
    """Read a database, and say how it was reached and what of it may not be read."""

    async def log_in() -> Outcome:
        data = await source.fetch(now)
        return Outcome(what, _session(source), "", data.missing if isinstance(data, Accounting) else ())

    return Attempt(what, log_in)


def _session(source: object) -> str:
    return source.session if isinstance(source, Remote) else ""


async def _read_usage(usage: UsageReader) -> str:
    """Read until when the roll-ups are final; a site need not grant them."""
    if await usage.catalog() is None:
        return "the tables are not there, or not granted: no usage history"
    rolled = await usage.rolled()
    return "" if rolled.hour else "nothing is rolled up yet"


async def _read_use(use: Source[Use], now: float) -> str:
    return what_is_brought(await use.fetch(now))


async def _compare(accounting: Source[Accounting], use: Source[Use], now: float) -> str:
    """Compare the GPUs that exporters show with those that jobs hold."""
    runs = (await accounting.fetch(now)).runs
    return compare_gpus(runs.runs, await use.fetch(now)).warning


async def _measure(replica: Source[Replication], now: float) -> str:
    lag = (await replica.fetch(now)).lag_seconds
    said = "its lag is unknown, for the primary cannot be read" if lag is None else f"{lag:.0f} s behind"
    return ", ".join(filter(None, (said, _session(replica))))


async def _try(attempt: Attempt) -> Outcome:
    """Give what came of it: what was read has nothing to say."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            said = await attempt.ask()
    except (FetchError, StateError) as error:
        return Outcome(attempt.what, error=str(error))
    except TimeoutError:
        return Outcome(attempt.what, error=f"{attempt.what}: no answer within {TIMEOUT_SECONDS:g} s")
    if isinstance(said, Outcome):
        return said
    return Outcome(attempt.what, said if isinstance(said, str) else "")
