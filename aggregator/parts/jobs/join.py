"""Which runs are there, and what do they use?"""

import polars as pl

from aggregator.engine.frame import Frames
from aggregator.engine.part import Before, Inputs
from aggregator.model.job_inputs import BASES, Bases, Runs, Use
from aggregator.parts.jobs.rows import job_gpus, job_rows
from aggregator.parts.jobs.settings import JobSettings
from aggregator.parts.jobs.use import USE, use_of_runs


def join_jobs(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Join the runs of slurmacct with their use; without slurmacct there are no jobs to speak of."""
    runs = inputs.get(Runs)
    if runs is None:
        return {}
    settings = inputs.get(JobSettings) or JobSettings()
    bases, before = inputs.get(Bases), inputs.get(Before)
    use = use_of_runs(
        runs.runs,
        inputs.get(Use) or Use(time=at),
        bases.frame if bases else pl.DataFrame(schema=BASES),
        before.frames["jobs"].select(USE.names()) if before else pl.DataFrame(schema=USE),
    )
    jobs = job_rows(runs.runs, use, at, settings)
    return {"jobs": jobs, "job_gpus": job_gpus(jobs, runs.gpus)}
