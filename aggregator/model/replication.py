"""A replica of slurmacct: how far it is behind."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Replication:
    """What was measured: seconds behind the primary, None while the primary cannot be asked."""

    lag_seconds: float | None
