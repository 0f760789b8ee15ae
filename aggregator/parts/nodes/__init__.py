"""Nodes and partitions: what is on them, what slurmctld says of them, and what is not seen of them."""

from aggregator.engine.part import Part
from aggregator.parts.nodes.columns import TABLES
from aggregator.parts.nodes.join import join_nodes

PART = Part(name="nodes", join=join_nodes, tables=TABLES)
