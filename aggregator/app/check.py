"""`check`: open every source of a configuration, and with `--connect` fetch each once and say what came of it."""

import asyncio
import time
from collections.abc import Awaitable

from aggregator.api.tokens import TokenFileError, read_tokens
from aggregator.app.site import open_site
from aggregator.config import Config
from aggregator.sources.base import FetchError

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
            named.append((f"clusters.{name}.slurmacct", cluster.accounting.fetch(now)))
            if cluster.use:
                named.append((f"clusters.{name}.prometheus", cluster.use.fetch(now)))
            if cluster.power:
                window = cluster.power.window
                named.append((f"clusters.{name}.prometheus (energy)", cluster.power.windows(now - now % window, 1)))
        named += [(f"filesystems.{name}.robinhood", item.usage.fetch(now)) for name, item in site.filesystems.items()]
        if site.allocations:
            named.append(("allocations.file", site.allocations.fetch(now)))
        return [(what, await _try(fetch)) for what, fetch in named]


async def _try(fetch: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await fetch
    except FetchError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {TIMEOUT_SECONDS:g} s"
    return ""
