"""What TrailblazingTurtle's pages ask of Prometheus, and how our API answers the same: one module per page."""

from tests.catalogue import job, lustre, nodes, scheduler
from tests.catalogue.entry import Entry

ENTRIES: tuple[Entry, ...] = (*job.ENTRIES, *lustre.ENTRIES, *nodes.ENTRIES, *scheduler.ENTRIES)

__all__ = ["ENTRIES", "Entry"]
