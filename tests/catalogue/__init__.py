"""What TrailblazingTurtle's pages ask of Prometheus, and how our API answers the same: one module per page."""

from tests.catalogue import cloud, job, lustre, nodes, quotas, scheduler
from tests.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = (
    *job.ENTRIES, *lustre.ENTRIES, *nodes.ENTRIES, *scheduler.ENTRIES, *cloud.ENTRIES, *quotas.ENTRIES,
)  # fmt: skip

__all__ = ["ENTRIES", "Entry"]
