"""What a token may be allowed to do."""

from collections.abc import Collection
from typing import Final

from aggregator.model.clustername import is_cluster_name

METRICS: Final = "metrics"
READ_ALL: Final = "read:all"
READ_OWN: Final = "read:own"
ALERTS: Final = "alerts"
_ACCOUNT: Final = "read:account:"
_INGEST: Final = "ingest:"
KNOWN: Final = f"{METRICS}, {READ_ALL}, {READ_OWN}, {_ACCOUNT}ACCOUNT, {_INGEST}CLUSTER, {ALERTS}"
_SHOWN = 100


class ScopeError(ValueError):
    """A scope that does not exist, or that does not fit the others; the text names it."""


def check_scopes(scopes: Collection[str], user: str | None) -> None:
    """Raise ScopeError unless every scope is known and they make sense together."""
    for scope in scopes:
        if "*" in scope:
            raise ScopeError(f'scope "{scope[:_SHOWN]}": wildcards are not scopes; known are {KNOWN}')
        if not _is_known(scope):
            raise ScopeError(f'scope "{scope[:_SHOWN]}": unknown; known are {KNOWN}')
    if not scopes:
        raise ScopeError(f"scope: at least one is needed; known are {KNOWN}")
    if (READ_OWN in scopes) != (user is not None):
        raise ScopeError(f"scope {READ_OWN}: it goes together with a user, whose data it lets read")


def ingest(cluster: str) -> str:
    """Name the scope that lets deliver job scripts of a cluster."""
    return _INGEST + cluster


def accounts_of(scopes: Collection[str]) -> frozenset[str]:
    """List the accounts that the scopes let read."""
    return frozenset(scope.removeprefix(_ACCOUNT) for scope in scopes if scope.startswith(_ACCOUNT))


def may_read(scopes: Collection[str]) -> bool:
    """Tell whether any of the scopes lets read anything of the API."""
    return READ_ALL in scopes or READ_OWN in scopes or bool(accounts_of(scopes))


def _is_known(scope: str) -> bool:
    if scope.startswith(_ACCOUNT):
        account = scope.removeprefix(_ACCOUNT)
        return bool(account) and account.isprintable() and not any(letter in account for letter in ' ,$"')
    if scope.startswith(_INGEST):
        return is_cluster_name(scope.removeprefix(_INGEST))
    return scope in (METRICS, READ_ALL, READ_OWN, ALERTS)
