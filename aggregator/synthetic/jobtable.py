"""The rows of the synthetic job table: every open run, and those that ended within a day."""

from collections import defaultdict, deque
from collections.abc import Iterator

from aggregator.model.accounting import Run


class JobTable:
    """Runs by run id, found by the ids that people write; those that have ended in the order of their ends."""

    def __init__(self) -> None:
        self._rows: dict[int, Run] = {}
        self._by_id: defaultdict[int, dict[int, None]] = defaultdict(dict)
        self._ended: deque[Run] = deque()

    def put(self, run: Run) -> None:
        """Write a row as it is now."""
        if run.run_id not in self._rows:
            for job_id in _ids(run):
                self._by_id[job_id][run.run_id] = None
        self._rows[run.run_id] = run
        if run.end is not None:
            self._ended.append(run)

    def find(self, job_id: int) -> Iterator[Run]:
        """List the runs of a job, of an array's tasks or of a heterogeneous job's components, the oldest row first."""
        return (self._rows[run_id] for run_id in sorted(self._by_id.get(job_id, ())))

    def ended_since(self, since: float) -> list[Run]:
        """List the runs that ended at or after `since`, the first to end first."""
        found = []
        for run in reversed(self._ended):
            if (run.end or 0.0) < since:
                break
            found.append(run)
        return found[::-1]

    def forget(self, before: float) -> list[int]:
        """Drop the runs that ended before a time, as slurmdbd purges them; give the ids that mean no run any more."""
        gone = []
        while self._ended and (self._ended[0].end or 0.0) < before:
            run = self._ended.popleft()
            del self._rows[run.run_id]
            for job_id in _ids(run):
                del self._by_id[job_id][run.run_id]
                if not self._by_id[job_id]:
                    del self._by_id[job_id]
                    gone.append(job_id)
        return gone


def _ids(run: Run) -> set[int]:
    return {each for each in (run.job_id, run.array_job_id, run.het_job_id) if each is not None}
