"""Storage: who has how much of a file system, on which tier, out of which quota."""

from aggregator.engine.part import Part
from aggregator.parts.storage import columns
from aggregator.parts.storage.join import join_storage

PART = Part(name="storage", join=join_storage, tables=columns.TABLES)
