"""The script of a run: what an agent has delivered, else what slurmdbd keeps."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cachetools import TTLCache

from aggregator.join.script import script_ids, script_of
from aggregator.model.accounting import Run
from aggregator.model.jobid import JobId
from aggregator.model.script import RecordedScript, ScriptRecord
from aggregator.queries.cache import CachedReads
from aggregator.queries.jobs import CACHE_SECONDS, JobQueries
from aggregator.state import StateError

# Gives the snapshot's runs of an id.
Live = Callable[[JobId], Awaitable[Sequence[Run]]]
CACHE_BYTES = 64 * 2**20
_ENTRY_BYTES = 1024


class ScriptReader(Protocol):
    """A source that can read the script of one run."""

    async def script_of(self, run: Run) -> RecordedScript:
        """Read the script that slurmdbd keeps of this run, or why there is none.

        Raises FetchError.
        """
        ...


class DeliveredScripts(Protocol):
    """Where the agent's scripts are kept."""

    async def of_job(self, cluster: str, job_id: int) -> list[ScriptRecord]:
        """List what is kept of a job id.

        Raises StateError.
        """
        ...

    async def content(self, sha256: str) -> bytes | None:
        """Give a content, None when it is not kept any more.

        Raises StateError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundScript:
    """A run's script. size counts the bytes of the original; what only an agent knows is None from slurmdbd."""

    content: bytes
    source: Literal["agent", "slurmdbd"]
    sha256: str
    truncated: bool
    size: int | None = None
    written_at: float | None = None
    redactions: int | None = None


@dataclass(frozen=True, slots=True)
class ScriptSearch:
    """What a search for a script found, and what it has to say; `failed` when the state could not be asked."""

    script: FoundScript | None
    warnings: tuple[str, ...] = ()
    failed: bool = False


class ScriptQueries:
    """Find scripts. Who may see one is not decided here, but a script is never given for another user's run."""

    def __init__(self, jobs: JobQueries, readers: Mapping[str, ScriptReader], delivered: DeliveredScripts) -> None:
        self._jobs = jobs
        self._readers = readers
        self._delivered = delivered
        self._reads = CachedReads[tuple[str, int], RecordedScript](
            TTLCache(CACHE_BYTES, CACHE_SECONDS, getsizeof=_size)
        )

    async def find(self, run: Run, live: Live, now: float) -> ScriptSearch:
        """Find the script of a run; `live` gives the snapshot's runs of an id, which slurmacct may not tell yet.

        Raises FetchError.
        """
        warnings: list[str] = []
        failed = False
        try:
            delivered = await self._find_delivered(run, live, now)
        except StateError as error:
            delivered, failed = None, True
            warnings.append(f"the scripts that were delivered are missing: {error}")
        if delivered is not None:
            return ScriptSearch(delivered)
        recorded = await self._reads.get(
            (run.cluster, run.run_id),
            lambda: self._readers[run.cluster].script_of(run),
            keep=lambda script: script.content is not None,
        )
        if recorded.content is None:
            return ScriptSearch(None, (*warnings, recorded.missing), failed)
        return ScriptSearch(_recorded(recorded.content, recorded.truncated), tuple(warnings))

    async def _find_delivered(self, run: Run, live: Live, now: float) -> FoundScript | None:
        for job_id in script_ids(run):
            records = await self._delivered.of_job(run.cluster, job_id)
            if not records:
                continue
            asked = JobId(job_id)
            runs = (*await self._jobs.runs_of(run.cluster, asked), *await live(asked))
            record = script_of(run, records, runs, now)
            content = await self._delivered.content(record.sha256) if record else None
            if record and content is not None:
                return _delivered(record, content)
        return None


def _recorded(content: bytes, truncated: bool) -> FoundScript:
    return FoundScript(
        content=content,
        source="slurmdbd",
        sha256=hashlib.sha256(content).hexdigest(),
        truncated=truncated,
        size=None if truncated else len(content),
    )


def _delivered(record: ScriptRecord, content: bytes) -> FoundScript:
    return FoundScript(
        content=content,
        source="agent",
        sha256=record.sha256,
        truncated=record.truncated,
        size=record.size,
        written_at=record.written_at,
        redactions=record.redactions,
    )


def _size(script: RecordedScript) -> int:
    return len(script.content or b"") + _ENTRY_BYTES
