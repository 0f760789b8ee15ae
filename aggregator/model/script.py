"""Job scripts: what an agent has delivered, and what slurmdbd keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRecord:
    """One script that an agent has delivered for a job id; written_at is epoch seconds.

    sha256 is of the content that is kept; size counts the bytes before redaction and truncation.
    """

    job_id: int
    written_at: float
    sha256: str
    size: int
    truncated: bool = False
    redactions: int = 0


@dataclass(frozen=True, slots=True)
class RecordedScript:
    """What slurmdbd keeps of one run's script; content is None where `missing` says why."""

    content: bytes | None = None
    truncated: bool = False
    missing: str = ""
