"""In which state is a node: by slurmctld's word, else by slurmdbd's record of when it was not available?"""

from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from aggregator.engine.column import schema
from aggregator.engine.frame import add_columns
from aggregator.model.nodestate import in_words
from aggregator.model.run_details import NodeEvent

_EXPORTER: Final = pl.lit("slurm-exporter")
_EVENTS: Final = pl.lit("slurmacct event_table")
# What slurmdbd records of a node that is not available.
_RECORDED: Final = schema(
    {
        "node": pl.String,
        "recorded": pl.String,
        "recorded_flags": pl.List(pl.String),
        "reason": pl.String,
        "event_timestamp_seconds": pl.Float64,
    }
)


def with_states(nodes: pl.DataFrame, events: Iterable[NodeEvent] | None) -> pl.DataFrame:
    """Add to rows of `nodes` their state by whoever knows it, its source, the reason and since when; null is not known.

    The reason and since when are slurmdbd's, where it has them. events are those that are open, None where they are not
    known.
    """
    busy = frozenset(nodes.filter(pl.col("jobs") > 0)["node"])
    newest = {event.node: event for event in sorted(events or (), key=lambda event: event.start)}
    recorded = pl.DataFrame([_recorded(event, busy) for event in newest.values()], schema=_RECORDED, orient="row")
    found = add_columns(nodes, recorded, on="node")
    is_said = pl.col("state").is_not_null()
    is_known = (pl.col("kind") == "compute") & (events is not None)
    is_available = is_known & pl.col("event_timestamp_seconds").is_null()
    return found.with_columns(
        state=pl.when(is_said).then("state").when(is_available).then(_available())
        .when(is_known).then("recorded"),
        flags=pl.when(is_said).then("flags").when(is_known).then("recorded_flags"),
        state_source=pl.when(is_said).then(_EXPORTER).when(is_known).then(_EVENTS),
    )  # fmt: skip


def _recorded(event: NodeEvent, busy: frozenset[str]) -> tuple[Any, ...]:
    word, flags = in_words(event.states, busy=event.node in busy)
    return event.node, word or None, list(flags), event.reason or None, event.start


def _available() -> pl.Expr:
    """Word the state of a node of which slurmdbd records nothing bad; null where its size is not known."""
    is_full = pl.col("allocated_cpus") >= pl.col("cpus")
    by_size = pl.when(is_full).then(pl.lit("allocated")).when(~is_full).then(pl.lit("mixed"))
    return pl.when(pl.col("jobs") == 0).then(pl.lit("idle")).otherwise(by_size)
