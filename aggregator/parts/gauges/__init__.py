"""Gauges of jobs that exporters declare, each a column of `jobs` and beside it the share of the nodes that show it."""

from collections.abc import Iterable

from aggregator.engine.column import Column
from aggregator.engine.part import Part
from aggregator.parts.gauges.join import join_gauges


def part_of(columns: Iterable[Column]) -> Part:
    """Make the part that adds these columns to the jobs."""
    return Part(name="gauges", join=join_gauges, columns={"jobs": tuple(columns)})
