"""Reckon how many connections the service opens."""

from collections import Counter
from collections.abc import Iterator

from aggregator.config.connection import USAGE_CONNECTIONS, Database
from aggregator.config.schema import Config

Login = tuple[str, int, str]
"""Host, port and user."""


def connections(config: Config) -> Counter[Login]:
    """Count the connections that one service may have open at a time to slurmacct and Robinhood, by login.

    MAX_USER_CONNECTIONS counts those of all databases of a server together.
    """
    counts: Counter[Login] = Counter()
    for section, count in _pools(config):
        counts[login_of(section)] += count
    return counts


def login_of(section: Database) -> Login:
    """Give where a section logs in, and as whom."""
    return section.host, section.port, section.user


def _pools(config: Config) -> Iterator[tuple[Database, int]]:
    for cluster in config.clusters.values():
        primary = cluster.slurmacct
        yield primary, primary.pool_size + USAGE_CONNECTIONS
        if primary.replica:
            replica = primary.of_replica(primary.replica)
            yield replica, replica.pool_size
    for filesystem in config.filesystems.values():
        if filesystem.robinhood:
            yield filesystem.robinhood, filesystem.robinhood.pool_size
