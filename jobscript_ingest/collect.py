"""From Slurm's spool into ours: find scripts that are new, hide their secrets, keep them to be sent."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from jobscript_ingest.location import Incomplete, StateSaveLocation, Unreadable
from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.redact import MARGIN_BYTES, Redacted, Rule, redact
from jobscript_ingest.script import RawScript, Script
from jobscript_ingest.spool import Spool, SpoolError, SpoolFull

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """The agent ends."""


def without_secrets(raw: RawScript, redacted: Redacted, max_bytes: int) -> Script:
    """Make the script that leaves the host."""
    return Script(
        job_id=raw.job_id,
        written_at=raw.version.mtime_ns / 10**9,
        content=redacted.content,
        sha256=hashlib.sha256(redacted.content).hexdigest(),
        size=raw.size,
        truncated=raw.size > max_bytes,
        redactions=redacted.total,
    )


class Collector:
    """Read scripts in a thread of its caller, one call at a time."""

    def __init__(
        self,
        location: StateSaveLocation,
        rules: Sequence[Rule],
        spool: Spool,
        metrics: AgentMetrics,
        *,
        max_bytes: int,
        on_spooled: Callable[[], None] = lambda: None,
    ) -> None:
        self._location = location
        self._rules = rules
        self._spool = spool
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._on_spooled = on_spooled
        self._stopping = threading.Event()
        self._unreadable: dict[int, str] = {}
        self.problem = ""
        self.is_full = False
        self.incomplete: set[int] = set()

    def stop(self) -> None:
        """Let a call that is under way end after the script that it reads."""
        self._stopping.set()

    def scan(self) -> bool:
        """Look at every job, and forget those that are gone; False when something went wrong, which `problem` says."""
        started = time.monotonic()
        succeeded = self._attempt(self._scan)
        if succeeded:
            self._metrics.last_scan = time.time()
        self._metrics.scan_duration = time.monotonic() - started
        return succeeded

    def look(self, job_ids: Collection[int]) -> None:
        """Look at some jobs; what goes wrong is logged and tried again by the next scan."""
        self._attempt(lambda: self._look(job_ids))

    # -- inside

    def _attempt(self, work: Callable[[], object]) -> bool:
        """Work, and tell whether it came to its end; a problem is logged once, not at every scan."""
        problem = ""
        self.is_full = False
        try:
            work()
        except SpoolFull as error:
            self.is_full = True
            problem = f"{error}; reading stops until there is room"
        except SpoolError as error:
            problem = str(error)
        except OSError as error:
            problem = f"--slurm.state-save-location: cannot read {error.filename}: {error.strerror}"
        except Stopped:
            return False
        finally:
            self._metrics.spool_full.set(self.is_full)
            self._metrics.incomplete.set(len(self.incomplete))
            self._metrics.unreadable.set(len(self._unreadable))
        if problem and problem != self.problem:
            _log.error("scripts are not read: error=%s", problem)
        elif self.problem and not problem:
            _log.info("scripts are read again")
        self.problem = problem
        return not problem

    def _scan(self) -> None:
        present: set[int] = set()
        problems: list[OSError] = []
        folders = self._location.folders()
        for folder in folders:
            try:
                self._scan_folder(folder, present)
            except OSError as error:
                problems.append(error)
        if problems:
            raise problems[0]
        # A location without any folder is one that is not mounted.
        if folders:
            self._forget(present)

    def _scan_folder(self, folder: Path, present: set[int]) -> None:
        for job_id, version in self._location.versions(folder):
            present.add(job_id)
            if version is None or not self._spool.has_seen(job_id, version):
                self._take(job_id)

    def _look(self, job_ids: Collection[int]) -> None:
        for job_id in sorted(job_ids):
            self._take(job_id)

    def _forget(self, present: set[int]) -> None:
        gone = self._spool.seen.keys() - present
        if gone:
            self._spool.forget(gone)
        self.incomplete &= present
        self._unreadable = {job_id: why for job_id, why in self._unreadable.items() if job_id in present}
        dropped = self._spool.drop_refused()
        if dropped:
            self._metrics.refused_dropped.inc(dropped)
            _log.warning("refused scripts dropped after their retention: scripts=%d", dropped)

    def _take(self, job_id: int) -> None:
        if self._stopping.is_set():
            raise Stopped
        self.incomplete.discard(job_id)
        try:
            raw = self._location.read(job_id, self._max_bytes + MARGIN_BYTES)
        except Incomplete:
            self.incomplete.add(job_id)
            return
        except Unreadable as error:
            self._say_unreadable(job_id, str(error))
            return
        if raw is None or self._spool.has_seen(job_id, raw.version):
            self._unreadable.pop(job_id, None)
        else:
            self._keep(raw)

    def _keep(self, raw: RawScript) -> None:
        try:
            redacted = redact(raw.head, self._rules, self._max_bytes)
        except Exception as error:  # a bug must not keep the other scripts back, and its text may hold a secret
            self._say_unreadable(raw.job_id, f"bug in redaction: {type(error).__name__}")
            return
        self._unreadable.pop(raw.job_id, None)
        script = without_secrets(raw, redacted, self._max_bytes)
        if not self._spool.add(script, raw.version):
            return
        self._metrics.found.inc()
        self._metrics.truncated.inc(script.truncated)
        for rule, count in redacted.counts.items():
            self._metrics.redactions.labels(rule).inc(count)
        _log.debug("script spooled: job_id=%d bytes=%d redactions=%d", script.job_id, script.size, script.redactions)
        self._on_spooled()

    def _say_unreadable(self, job_id: int, reason: str) -> None:
        if self._unreadable.get(job_id) != reason:
            _log.warning("script not read: job_id=%d error=%s", job_id, reason)
        self._unreadable[job_id] = reason
