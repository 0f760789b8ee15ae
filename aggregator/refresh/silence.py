"""When it is not believed that Prometheus has no sample of any node: a wrong tenant, a wrong matcher, a late write.

Jobs are in slurmacct. A cluster where none has run for long may have no sample; so may one whose only jobs have no
process: there Prometheus still has targets.
"""

from collections.abc import Callable

import polars as pl

from aggregator.model.association import FairShareLevels
from aggregator.model.job_inputs import SETTLE_INTERVALS, Use
from aggregator.sources.base import NoSamples

_NAMES = ("cpus", "cpu_seconds", "memory_bytes", "memory_peak_bytes", "threads", "gpus", "healthy_nodes")


def doubt(jobs: Callable[[], pl.DataFrame]) -> Callable[[Use, Use | None], None]:
    """Make what raises NoSamples for a fetch without any sample of any node while jobs run that must have some.

    It is shown the last good fetch, None when that is stale. `jobs` gives those of the last snapshot (JOBS).
    """

    def believe(use: Use, last: Use | None) -> None:
        # What was there a moment ago does not end for all nodes at once; later on, an answer with targets is the truth.
        suspect = use.is_empty and (not use.reachable or (last is not None and not last.is_empty))
        if suspect and (settled := jobs().filter(_is_settled(use)).height):
            read = {**use.values, "gpus": use.gpus, "healthy_nodes": use.healthy_nodes}
            names = [name for name in _NAMES if read.get(name) is not None]
            raise NoSamples(
                f"no sample of any node while {settled} jobs run: check prometheus.matchers, its tenant", names
            )

    return believe


def vanished(levels: FairShareLevels, last: FairShareLevels | None) -> None:
    """Raise NoSamples where no account has a fair share any more: they do not all end at once."""
    if last is not None and not last.frame.is_empty() and levels.frame.is_empty():
        raise NoSamples("no account has a fair share any more", ("levelfs",))


def _is_settled(use: Use) -> pl.Expr:
    elapsed = use.time - pl.col("start_timestamp_seconds") - pl.col("suspended_seconds")
    return (pl.col("state") == "running") & pl.col("is_open") & (elapsed >= SETTLE_INTERVALS * use.interval)
