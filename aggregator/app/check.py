"""`check`: open every source of a configuration, and with `--connect` try each once and say what came of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from aggregator.api.tokens import TokenFileError, read_tokens
from aggregator.app.site import ClusterSources, Site, open_site
from aggregator.config import Config
from aggregator.join.agreement import compare_gpus
from aggregator.model.accounting import Accounting
from aggregator.model.replication import Replication
from aggregator.model.use import Use
from aggregator.sources.base import FetchError, Remote, Source, UsageReader
from aggregator.sources.prometheus import Presence
from aggregator.state import StateError

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying one thing: `said` of it, warnings, or the error, which begins with the key to fix."""

    what: str
    said: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing to try; what it gives is a text, an Outcome or nothing to say. It is left out where `needs` failed."""

    what: str
    ask: Callable[[], Awaitable[object]]
    needs: tuple[str, ...] = ()


async def open_once(config: Config) -> None:
    """Open every source without connecting.

    Raises ConfigError for what cannot be used, such as a certificate.
    """
    async with open_site(config):
        pass


def token_warnings(config: Config) -> list[str]:
    """Say what is wrong with the file of tokens, which does not keep the service from starting."""
    if config.auth is None or config.auth.tokens is None:
        return []
    try:
        read_tokens(config.auth.tokens.file)
    except OSError as error:
        return [f"auth.tokens.file: cannot read {config.auth.tokens.file}: {error.strerror}: no token is known"]
    except TokenFileError as error:
        return [f"auth.tokens.file: {error}"]
    return []


def exporter_warnings(config: Config) -> list[str]:
    """Name the clusters of which nothing is read from Prometheus: this may be wanted, and rarely is."""
    return [
        f"clusters.{name}.exporters: none is configured: nothing is read from Prometheus, and what jobs use is not "
        "known (exporters: {slurm_job_exporter: {}})"
        for name, cluster in config.clusters.items()
        if not cluster.exporters.in_use
    ]


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
    if usage := cluster.usage:
        yield Attempt(f"{slurmacct} (usage)", lambda: _read_usage(usage), (slurmacct,))
    if replica := cluster.replica:
        yield Attempt(f"{slurmacct}.replica", lambda: _measure(replica, now))
    if cluster.presence:
        yield _look(prometheus, cluster.presence, now)
    if use := cluster.use:
        yield _fetch(f"{prometheus} (use of jobs)", use, now, prometheus)
        needs = (slurmacct, prometheus, f"{prometheus} (use of jobs)")
        yield Attempt(f"{key} (GPUs)", lambda: _compare(cluster.accounting, use, now), needs)
    if power := cluster.power:
        begin = now - now % power.window
        yield Attempt(f"{prometheus} (energy)", lambda: power.windows(begin, 1), (prometheus,))


def _fetch(what: str, source: Source[object], now: float, *needs: str) -> Attempt:
    return Attempt(what, lambda: source.fetch(now), needs)


def _look(what: str, presence: Presence, now: float, *needs: str) -> Attempt:
    async def look() -> Outcome:
        found = await presence.look(now)
        return Outcome(what, "; ".join(map(str, found)), "", tuple(text for seen in found for text in seen.warnings))

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


async def _compare(accounting: Source[Accounting], use: Source[Use], now: float) -> str:
    """Compare the GPUs that exporters show with those that jobs hold."""
    return compare_gpus((await accounting.fetch(now)).runs, await use.fetch(now)).warning


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
