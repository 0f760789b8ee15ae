"""Clouds: what runs in one, what it uses, and what of it idles."""

from aggregator.engine.part import Part
from aggregator.parts.cloud import columns
from aggregator.parts.cloud.join import join_cloud

PART = Part(name="cloud", join=join_cloud, tables=columns.TABLES)
