"""What Lustre's servers show of input and output, and whose it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

Kind = Literal["read", "write", "metadata"]
KINDS: Final[tuple[Kind, ...]] = ("read", "write", "metadata")
# Where what was measured comes from: Slurm's jobs, users' processes outside of jobs, and what cannot be told.
Part = Literal["jobs", "users", "unknown"]
PARTS: Final[tuple[Part, ...]] = ("jobs", "users", "unknown")


@dataclass(frozen=True, slots=True)
class LustreIo:
    """Bytes per second read and written, and metadata operations per second; None for what is not known."""

    read: float | None = None
    write: float | None = None
    metadata: float | None = None

    @property
    def bytes(self) -> float | None:
        """Give bytes per second in both directions together."""
        return _add((self.read, self.write))


class Sender(NamedTuple):
    """Who caused a rate on a file system, as its series says: a job's number or a uid, and the proxy's names for it."""

    filesystem: str
    job_id: int | None = None
    uid: int | None = None
    user: str = ""
    account: str = ""


Rates = Mapping[Sender, float]


@dataclass(frozen=True, slots=True)
class LustreUse:
    """One fetch of what Lustre's servers show, all of it at one evaluation time.

    A kind that is None could not be read. window and interval are the seconds over which rates were taken and between
    two scrapes. Senders in whom nobody is named, and what was beyond the cap, are there as such: each kind adds up to
    what was measured. coverage is the share of a file system's targets that are seen now.
    """

    time: float
    interval: float = 90.0
    window: float = 360.0
    read: Rates | None = None
    write: Rates | None = None
    metadata: Rates | None = None
    coverage: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> Iterable[tuple[Kind, Rates]]:
        """Give the kinds that could be read."""
        rates = ((kind, getattr(self, kind)) for kind in KINDS)
        return ((kind, found) for kind, found in rates if found is not None)


class _OnAll:
    """What rates by file system add up to."""

    __slots__ = ()
    filesystems: Mapping[str, LustreIo]

    @property
    def bytes(self) -> float | None:
        """Give bytes per second on all file systems; None where none is known."""
        return _add(rates.bytes for rates in self.filesystems.values())

    @property
    def metadata(self) -> float | None:
        """Give metadata operations per second on all file systems."""
        return _add(rates.metadata for rates in self.filesystems.values())


@dataclass(frozen=True, slots=True)
class JobLustre(_OnAll):
    """One run's rates by file system, and how much of them is seen (0–1; None: it cannot be told)."""

    filesystems: Mapping[str, LustreIo] = field(default_factory=dict)
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class LustreSums(_OnAll):
    """The rates of a user under an account by file system; account "" is outside of jobs, user "" a whole account."""

    account: str
    user: str
    filesystems: Mapping[str, LustreIo]


@dataclass(frozen=True, slots=True)
class LustreView:
    """Whose input and output it is: by run id, by user and account, and the parts that add up to what was measured."""

    time: float
    jobs: Mapping[int, JobLustre] = field(default_factory=dict)
    users: tuple[LustreSums, ...] = ()
    accounts: tuple[LustreSums, ...] = ()
    parts: Mapping[Part, Mapping[str, LustreIo]] = field(default_factory=dict)

    @property
    def filesystems(self) -> frozenset[str]:
        """Name the file systems of which anything was measured."""
        return frozenset(name for part in self.parts.values() for name in part)


def _add(rates: Iterable[float | None]) -> float | None:
    """Add the known rates; None when none is known."""
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
