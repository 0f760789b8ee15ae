"""Which of the delivered scripts is that of a run, given that job ids are used again?"""

from collections.abc import Iterable

from aggregator.model.accounting import Run
from aggregator.model.script import ScriptRecord

# slurmctld writes the script before slurmdbd hears of the job, and the clocks of the two may differ.
SLACK_SECONDS = 60.0


def script_ids(run: Run) -> tuple[int, ...]:
    """List the ids under which the run's script may have been written, the best first.

    Tasks share their array's script; a component may have its own, else the leader's is its script.
    """
    if run.array_job_id is not None:
        return (run.array_job_id,)
    if run.het_job_id is not None and run.het_job_id != run.job_id:
        return run.job_id, run.het_job_id
    return (run.job_id,)


def script_of(run: Run, records: Iterable[ScriptRecord], runs_of_id: Iterable[Run], now: float) -> ScriptRecord | None:
    """Choose the newest script that was written before the run ended and that belongs to the run's user."""
    known = tuple(runs_of_id)
    latest = now if run.end is None else min(run.end, now)
    mine = (record for record in records if record.written_at <= latest and _owner(record, known) == run.user)
    return max(mine, key=lambda record: record.written_at, default=None)


def _owner(record: ScriptRecord, runs: Iterable[Run]) -> str | None:
    """Name the user of the newest run of the id at the time of writing; None when no such run is known."""
    earlier = (run for run in runs if run.submit <= record.written_at + SLACK_SECONDS)
    newest = max(earlier, key=lambda run: (run.submit, run.run_id), default=None)
    return None if newest is None else newest.user
