"""What the flags say, and how a mistake in them is told."""

from dataclasses import dataclass, field
from pathlib import Path

from aggregator.document.secrets import SecretFile
from aggregator.document.types import ListenAddress

MIB, GIB = 2**20, 2**30


class FlagError(Exception):
    """A flag cannot be used as it is; the text names the flag and what to change."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much goes into one request; a script that is larger goes alone."""

    scripts: int = 100
    content_bytes: int = 8 * MIB


@dataclass(frozen=True, slots=True)
class BackOff:
    """The shortest and the longest pause after a request that failed, in seconds."""

    shortest: float = 1.0
    longest: float = 300.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where scripts are sent; allow_http lets them, and the token, go to another host without TLS."""

    cluster: str
    url: str
    token_file: SecretFile
    ca_file: Path | None = None
    batch: BatchLimits = field(default_factory=BatchLimits)
    back_off: BackOff = field(default_factory=BackOff)
    allow_http: bool = False


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where scripts wait, how many bytes of them, and how long refused ones are kept (seconds)."""

    path: Path
    max_bytes: int = GIB
    refused_retention: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Where scripts are found and what is done to them."""

    location: Path
    rules_file: Path | None = None
    max_bytes: int = 4 * MIB
    scan_interval: float = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the agent needs to run."""

    reading: Reading
    target: Target
    spool: SpoolSettings
    listen_address: ListenAddress
