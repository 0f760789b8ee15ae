"""From runs and their use to the rows of `jobs`."""

import polars as pl

from aggregator.engine.frame import add_columns, conform
from aggregator.parts.jobs.columns import JOB_GPUS, JOBS
from aggregator.parts.jobs.declare import OF_RUN
from aggregator.parts.jobs.efficiency import with_efficiency
from aggregator.parts.jobs.settings import JobSettings
from aggregator.parts.jobs.time import ALLOCATED_CPUS, IS_OPEN, elapsed
from aggregator.parts.jobs.units import units_of_runs
from aggregator.parts.jobs.use import USE

_HAS_STARTED = pl.col("start").is_not_null()


def job_rows(runs: pl.DataFrame, use: pl.DataFrame, at: float, settings: JobSettings) -> pl.DataFrame:
    """Join runs (RUNS) with their use (USE) as of a time: JOBS among other columns, the newest job first.

    The label with a job's name is cut: anybody chooses it, and one label that is too long for a Prometheus costs it the
    whole page.
    """
    # The numbers of rows are sorted first: to compare whole rows takes longer than to move them.
    newest = runs.select(pl.arg_sort_by("job_id", "run_id", descending=True)).to_series()
    joined = add_columns(runs[newest], use, on="run_id")
    joined = add_columns(joined, units_of_runs(runs, settings.gpu_units), on="run_id")
    rows = joined.with_columns(
        submit_timestamp_seconds=pl.when(pl.col("submit") > 0).then(pl.col("submit")),
        eligible_timestamp_seconds=pl.col("eligible"),
        start_timestamp_seconds=pl.col("start"),
        end_timestamp_seconds=pl.col("end"),
        elapsed_seconds=elapsed(pl.lit(at)),
        is_open=IS_OPEN,
        is_owner=_is_owner(joined),
        job_name_label=shorten(joined["job_name"], settings.job_name_bytes),
        allocated_cpus=pl.when(_HAS_STARTED).then(ALLOCATED_CPUS),
        allocated_memory_bytes=pl.when(_HAS_STARTED).then(pl.col("granted_memory_bytes")),
        allocated_nodes=pl.when(_HAS_STARTED).then(pl.col("granted_nodes")),
        allocated_gpus=pl.when(_HAS_STARTED).then(pl.col("granted_gpus")),
        allocated_gpu_equivalents=pl.when(_HAS_STARTED & (pl.col("granted_gpus") > 0)).then(
            pl.col("granted_gpu_equivalents")
        ),
        allocated_gpu_units=pl.when(_HAS_STARTED).then(pl.col("granted_gpu_units")),
    )
    return with_efficiency(rows, settings.fair_share)


def plain_rows(runs: pl.DataFrame, at: float) -> pl.DataFrame:
    """Give runs (RUNS) of whose use nothing is asked as rows of JOBS as of a time, in their order."""
    rows = job_rows(runs, pl.DataFrame(schema=USE), at, JobSettings())
    return conform(JOBS, runs.select("run_id").join(rows, on="run_id", maintain_order="left"))


def job_gpus(jobs: pl.DataFrame, gpus: pl.DataFrame) -> pl.DataFrame:
    """Give what each job that has started holds of each type of GPU (`Runs.gpus`): JOB_GPUS."""
    started = jobs.select(*OF_RUN, started=pl.col("start_timestamp_seconds").is_not_null()).filter("started")
    return conform(JOB_GPUS, started.join(gpus, on="run_id", maintain_order="left_right"))


def _is_owner(runs: pl.DataFrame) -> pl.Series:
    """Choose the run that owns each job id: the open one, else the one submitted last."""
    others = runs.select("job_id", "run_id", "submit", is_open=IS_OPEN).filter(pl.col("job_id").is_duplicated())
    ranked = others.sort("is_open", "submit", "run_id")
    former = ranked.filter(~pl.col("job_id").is_last_distinct())["run_id"]
    return ~runs["run_id"].is_in(former.implode())


def shorten(names: pl.Series, size: int) -> pl.Series:
    """Cut names to so many bytes of UTF-8, at the end of a character; to none where the size is 0."""
    too_long = names.filter(names.str.len_bytes() > size).unique()
    cut = [name.encode()[:size].decode(errors="ignore") for name in too_long]
    return names.replace(too_long, pl.Series(cut, dtype=pl.String)) if cut else names
