"""What TrailblazingTurtle's pages ask of Prometheus, and how our API answers the same: one module per page."""

from tests.catalogue import account, cloud, job, job_values, lustre, nodes, quotas, scheduler, software, top, user
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
    *cloud.ENTRIES,
    *quotas.ENTRIES,
)

__all__ = ["ENTRIES", "Entry"]
