"""The lists of a cluster's nodes, partitions, reservations and QOS."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import polars as pl
from aiohttp import web

from aggregator.api.cluster_lists import LISTS_PATH
from aggregator.api.errors import NotFound
from aggregator.api.freshness import source_warnings
from aggregator.api.keys import CLOCK, DETAILS, STORE
from aggregator.api.lists import ListRoute, OfView, Read
from aggregator.api.lookup import find_seen_cluster
from aggregator.api.node_states import with_states
from aggregator.api.standings import limits_of_qos
from aggregator.engine.column import Column, Table
from aggregator.engine.frame import add_columns
from aggregator.engine.listed import Derived, Filters, Listed, Nested
from aggregator.engine.part import Layout
from aggregator.model.node import EXPLANATIONS
from aggregator.model.view import ClusterView
from aggregator.sources.base import FetchError

NODES_PATH: Final = f"{LISTS_PATH}nodes"
_KINDS: Final = frozenset({"compute", "login", "transfer"})
# A state that has just changed is shown after this long.
_STATE_SECONDS: Final = 30
# The newest may be a marker of slurmctld's that says nothing.
_OPEN_EVENTS: Final = 3
_BY_EVENTS: Final = (
    Column(name="state_source", dtype=pl.String, help="Whose word the state is: slurm-exporter's, or slurmdbd's."),
    Column(name="reason", dtype=pl.String, help="Why it is not available, by slurmdbd.", null="no open event"),
    Column(name="event_timestamp_seconds", dtype=pl.Float64, help="Since when it is not.", null="no open event"),
)
_WHY: Final = Derived(
    name="explanation", value=pl.col("cause").replace_strict(EXPLANATIONS, default=None, return_dtype=pl.String),
    help="The cause, in words.",
)  # fmt: skip
_RESERVATIONS: Final = Table(
    name="reservations", of="reservation, or a part of its time where it was changed", collect="nodes", labels={},
    columns=(
        Column(name="name", dtype=pl.String, help="Its name."),
        Column(name="start_timestamp_seconds", dtype=pl.Float64, help="When it begins."),
        Column(name="end_timestamp_seconds", dtype=pl.Float64, help="When it ends.", null="it has no end"),
        Column(name="nodes", dtype=pl.List(pl.String), help="Its nodes."),
    ),
)  # fmt: skip
_LIMIT: Final = {"limit": pl.String, "tres": pl.String, "value": pl.Float64, "unit": pl.String}
_USE: Final = {"limit": pl.String, "tres": pl.String, "used": pl.Float64, "headroom": pl.Float64}
_OF_QOS: Final = (
    Column(name="limits", dtype=pl.List(pl.Struct(_LIMIT)), help="Its limits."),
    Column(name="limits_used", dtype=pl.List(pl.Struct(_USE)), help="What all its jobs use of those on the group."),
)


def node_lists(layout: Layout) -> tuple[ListRoute[ClusterView], ...]:
    """Give the lists of what a cluster consists of, which all may see who may see any of its jobs."""
    return (
        _route(_nodes(layout), _joined, _slurmctld, read=_read_states),
        _route(_partitions(layout), lambda view: view.frames["partitions"], _slurmctld),
        _route(
            Listed(name="reservations", table=_RESERVATIONS, order=("start_timestamp_seconds", "name")),
            lambda view: view.frames["reservations"], lambda _: (), read=_read_reservations,
        ),
        _route(_qos(layout), OfView(_qos_rows), lambda _: (), staff=frozenset({"limits_used"})),
    )  # fmt: skip


def _route(
    listed: Listed,
    frame: Callable[[ClusterView], pl.DataFrame],
    repairs: Callable[[ClusterView], Sequence[str]],
    read: Read[ClusterView] | None = None,
    staff: frozenset[str] = frozenset(),
) -> ListRoute[ClusterView]:
    return ListRoute(
        path=f"{LISTS_PATH}{listed.name}", listed=listed, find=find_seen_cluster, frame=frame, staff=staff, read=read,
        sees=lambda rights, _: pl.lit(True),
        warn=lambda request, view: [*source_warnings(request.app[STORE].current, view.cluster), *repairs(view)],
    )  # fmt: skip


def _slurmctld(view: ClusterView) -> Sequence[str]:
    """Say what of slurmctld's words was put right."""
    return view.frames["slurmctld"]["repairs"].explode(empty_as_null=True).drop_nulls().to_list()


def _nodes(layout: Layout) -> Listed:
    own, energy = layout.tables["nodes"], layout.tables["node_energy"]
    more = (replace(column, sample=None) for column in energy.columns if column.name != "node")
    return Listed(
        name="nodes", table=replace(own, columns=(*own.columns, *_BY_EVENTS, *more)), order=("node",), derived=(_WHY,),
        nested=(
            Nested(
                name="gpus_by_type", table=layout.tables["node_gpus"], on=("node",), columns=("gpu_type", "count"),
                help="GPUs that running jobs hold, by type.",
            ),
        ),
        conditions={"node": _named}, choices={"kind": lambda _: _KINDS},
    )  # fmt: skip


def _named(view: ClusterView, filters: Filters) -> pl.Expr:
    return pl.col("node").is_in(view.names.each(filters["node"]))


def _joined(view: ClusterView) -> pl.DataFrame:
    return add_columns(view.frames["nodes"], view.frames["node_energy"], on="node")


async def _read_states(request: web.Request, view: ClusterView, *_: object) -> tuple[ClusterView, Sequence[str]]:
    """Add the nodes' states, with reasons from slurmdbd; when that fails, say so and go on without."""
    at = request.app[CLOCK]() // _STATE_SECONDS * _STATE_SECONDS
    nodes = view.frames["nodes"]
    if name := request.match_info.get("node"):
        nodes = nodes.filter(pl.col("node") == view.names.normalize(name))
    names, events, warnings = nodes.filter(pl.col("kind") == "compute")["node"].to_list(), None, []
    try:
        if names:
            found = await request.app[DETAILS].node_events(view.cluster, names, at, at + _STATE_SECONDS, _OPEN_EVENTS)
            events = None if found is None else [event for event in found.events if event.end is None]
    except FetchError as error:
        warnings = [f"reasons of nodes are missing: {error}"]
    return replace(view, frames={**view.frames, "nodes": with_states(nodes, events)}), warnings


async def _read_reservations(request: web.Request, view: ClusterView, *_: object) -> tuple[ClusterView, Sequence[str]]:
    found = await request.app[DETAILS].reservations(view.cluster, request.app[CLOCK]())
    if found is None:
        raise NotFound(f'cluster "{view.cluster}": slurmdbd\'s reservations are not there, or not granted')
    rows = [(each.name, each.start, each.end, list(each.nodes)) for each in found]
    frame = pl.DataFrame(rows, schema=_RESERVATIONS.schema, orient="row")
    return replace(view, frames={**view.frames, "reservations": frame}), ()


def _partitions(layout: Layout) -> Listed:
    on = ("partition",)
    return Listed(
        name="partitions", table=layout.tables["partitions"], order=on,
        nested=(
            Nested(name="jobs", table=layout.tables["partition_states"], on=on, columns=("state", "jobs"),
                   help="Open jobs by state; a pending one is in all partitions that it names."),
            Nested(name="gpus", table=layout.tables["partition_gpus"], on=on, columns=("gpu_type", "count"),
                   help="GPUs that its running jobs hold, by type."),
        ),
    )  # fmt: skip


def _qos(layout: Layout) -> Listed:
    own = layout.tables["qos"]
    return Listed(name="qos", table=replace(own, columns=(*own.columns, *_OF_QOS)), order=("qos",))


def _qos_rows(view: ClusterView) -> pl.DataFrame:
    """Put the limits of each QOS beside it."""

    def rows() -> Iterator[tuple[object, ...]]:
        for qos_id in found["qos_id"]:
            limits = list(limits_of_qos(view.frames, qos_id))
            yield (
                [
                    {"limit": each.limit, "tres": each.tres or None, "value": each.value, "unit": each.unit}
                    for each in limits
                ],
                [
                    {"limit": each.limit, "tres": each.tres or None, "used": each.used, "headroom": each.headroom}
                    for each in limits
                    if each.used is not None
                ],
            )

    found = view.frames["qos"].sort("qos")
    return found.hstack(pl.DataFrame(list(rows()), schema={each.name: each.dtype for each in _OF_QOS}, orient="row"))
