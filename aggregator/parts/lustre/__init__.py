"""Lustre: what jobs, users and accounts read and write, and their metadata operations."""

from aggregator.engine.part import Part
from aggregator.parts.lustre import columns
from aggregator.parts.lustre.join import join_lustre

PART = Part(name="lustre", join=join_lustre, tables=columns.TABLES, columns={"jobs": columns.OF_JOBS})
