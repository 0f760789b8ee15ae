"""Jobs, the ground of a cluster: which runs there are, and what they use of what they hold."""

from aggregator.engine.part import Part
from aggregator.parts.jobs.columns import JOB_GPUS, JOBS
from aggregator.parts.jobs.join import join_jobs

PART = Part(name="jobs", join=join_jobs, tables=(JOBS, JOB_GPUS))
