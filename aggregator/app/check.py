"""`check`: open every source of a configuration, and with `--connect` fetch each once and say what came of it."""

import asyncio
import time
from collections.abc import Awaitable, Iterator

from aggregator.api.tokens import TokenFileError, read_tokens
from aggregator.app.site import ClusterSources, open_site
from aggregator.config import Config
from aggregator.join.agreement import compare_gpus
from aggregator.model.accounting import Accounting
from aggregator.model.replication import Replication
from aggregator.model.use import Use
from aggregator.sources.base import FetchError, Remote, Source, UsageReader

TIMEOUT_SECONDS = 30.0


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


async def connect(config: Config) -> list[tuple[str, str]]:
    """Fetch each source once; give (what, error) for each, "" for one that answers."""
    now = time.time()
    async with open_site(config) as site:
        named: list[tuple[str, Awaitable[object]]] = []
        for name, cluster in site.clusters.items():
            named += _of_cluster(f"clusters.{name}", cluster, now)
        for name, item in site.filesystems.items():
            if item.usage:
                named.append((f"filesystems.{name}.robinhood", _log_in(item.usage, now)))
            if item.quotas:
                named.append((f"filesystems.{name}.quota", item.quotas.counts.fetch(now)))
        named += [(f"cloud.{name}", cloud.use.fetch(now)) for name, cloud in site.clouds.items()]
        if site.allocations:
            named.append(("allocations.file", site.allocations.fetch(now)))
        return [await _try(what, fetch) for what, fetch in named]


def _of_cluster(key: str, cluster: ClusterSources, now: float) -> Iterator[tuple[str, Awaitable[object]]]:
    """Name what is read of a cluster; a text that comes of it is for the administrator."""
    yield f"{key}.slurmacct", _log_in(cluster.accounting, now)
    if cluster.usage:
        yield f"{key}.slurmacct (usage)", _read_usage(cluster.usage)
    if cluster.replica:
        yield f"{key}.slurmacct.replica", _measure(cluster.replica, now)
    if cluster.use:
        yield f"{key}.prometheus", cluster.use.fetch(now)
        yield f"{key} (GPUs)", _compare(cluster.accounting, cluster.use, now)
    if cluster.power:
        window = cluster.power.window
        yield f"{key}.prometheus (energy)", cluster.power.windows(now - now % window, 1)


async def _log_in(source: Source[object], now: float) -> str:
    """Read a database, and say how it was reached and what of it may not be read."""
    data = await source.fetch(now)
    missing = data.missing if isinstance(data, Accounting) else ()
    return "; ".join(filter(None, (_session(source), *missing)))


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


async def _try(what: str, fetch: Awaitable[object]) -> tuple[str, str]:
    """Give what was read, with what there is to say of it, and the error."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            said = await fetch
    except FetchError as error:
        return what, str(error)
    except TimeoutError:
        return what, f"{what}: no answer within {TIMEOUT_SECONDS:g} s"
    return (f"{what}: {said}" if isinstance(said, str) and said else what), ""
