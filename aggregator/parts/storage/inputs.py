"""What a file system is made of, beside what its sources bring."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filesystem:
    """What the configuration says of a file system.

    hsm: it has an archive. scanned: Robinhood reads it; else all is from its quotas. has_own_limits: those come with
    the counts, not from the allocations file.
    """

    name: str
    hsm: bool = False
    scanned: bool = True
    has_own_limits: bool = False
