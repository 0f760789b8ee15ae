"""What TrailblazingTurtle's pages ask of Prometheus, and how our API answers the same: one module per page."""

from tests.catalogue import account, job, job_values, lustre, nodes, scheduler, software, top, user
from tests.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = (
    *job.ENTRIES,
    *job_values.ENTRIES,
    *user.ENTRIES,
    *account.ENTRIES,
    *top.ENTRIES,
    *nodes.ENTRIES,
    *lustre.ENTRIES,
    *scheduler.ENTRIES,
    *software.ENTRIES,
)

__all__ = ["ENTRIES", "Entry"]
