"""A job script: as it is in Slurm's spool, and as it leaves the host."""

from dataclasses import dataclass

Key = tuple[int, str]
"""A job id and the hash of a script's content: what names a script to the service."""


@dataclass(frozen=True, slots=True)
class Version:
    """Tell one state of a file from another."""

    inode: int
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class RawScript:
    """The beginning of a script, secrets included: all of it where `size` is the length of `head`."""

    job_id: int
    version: Version
    head: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Script:
    """A script without its secrets; `size` is that of the original, in bytes."""

    job_id: int
    written_at: float
    content: bytes
    sha256: str
    size: int
    truncated: bool
    redactions: int

    @property
    def key(self) -> Key:
        """Give what names the script to the service."""
        return self.job_id, self.sha256
