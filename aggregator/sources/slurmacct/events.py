"""Node events and the reservation of one run."""

from collections.abc import Sequence
from typing import Final

from aggregator.join.events import merge_events
from aggregator.model.hostlist import HostlistError, expand_hostlist
from aggregator.model.nodename import NodeRule
from aggregator.model.nodestate import numbered_state
from aggregator.model.run_details import NodeEvent, NodeEvents, Reservation
from aggregator.sources.mysql import Row, text
from aggregator.sources.slurmacct.schema import Schema

MAX_NODES: Final = 64
MAX_EVENTS_PER_NODE: Final = 100
MAX_RESERVATIONS: Final = 1000
_EVENTS_PER_STATEMENT: Final = 32


def events(schema: Schema, nodes: int) -> str:
    """Select the events of some nodes in a time, the newest: parameters (node, until, since, rows) for each node.

    What begins in the second in which a run ends may well be what ended it. Served by the primary key, one node after
    the other: up to 23.02 there is no index on time that would do.
    """
    arm = (
        "(SELECT CAST(node_name AS BINARY), time_start, time_end, state, CAST(reason AS BINARY)"  # noqa: S608
        f" FROM {schema.table('event')}"
        " WHERE node_name=%s AND time_start<=%s AND (time_end>%s OR time_end=0) ORDER BY time_start DESC LIMIT %s)"
    )
    return " UNION ALL ".join([arm] * nodes)


def registered_nodes(schema: Schema) -> str:
    """Select the cluster's node list as slurmctld last registered it; served by the primary key."""
    return (
        f"SELECT CAST(cluster_nodes AS BINARY) FROM {schema.table('event')}"  # noqa: S608
        " WHERE node_name='' AND state=0 ORDER BY time_start DESC LIMIT 1"
    )


def parse_registered(rows: Sequence[Row]) -> tuple[str, ...]:
    """Parse the node list; empty where there is none that can be read."""
    return hosts_of(rows[0][0]) if rows else ()


def batches(nodes: Sequence[str]) -> list[Sequence[str]]:
    """Cut nodes into those of one statement each."""
    return [nodes[begin : begin + _EVENTS_PER_STATEMENT] for begin in range(0, len(nodes), _EVENTS_PER_STATEMENT)]


def reservations(schema: Schema) -> str:
    """Select the reservations that have not ended: parameters (since, rows). They are few; a change adds a row."""
    return (
        "SELECT CAST(resv_name AS BINARY), time_start, time_end, CAST(nodelist AS BINARY)"  # noqa: S608
        f" FROM {schema.table('resv')} WHERE (time_end>=%s OR time_end=0) AND deleted+0=0 LIMIT %s"
    )


def parse_reservations(rows: Sequence[Row], names: NodeRule) -> tuple[Reservation, ...]:
    """Parse reservations, the first to begin first; of one that was changed each part of its time is one."""
    found = (
        Reservation(text(name), float(start), float(end) if end else None, names.each(hosts_of(nodes)))
        for name, start, end, nodes in rows
    )
    return tuple(sorted(found, key=lambda each: (each.start, each.name)))


def hosts_of(nodes: bytes | None) -> tuple[str, ...]:
    """Expand a node list; empty where there is none that can be read."""
    try:
        return tuple(dict.fromkeys(expand_hostlist(text(nodes)))) if nodes else ()
    except HostlistError:
        return ()


def parse_events(rows: Sequence[Row], names: NodeRule, *, cut: bool) -> NodeEvents:
    """Parse rows of events and merge what belongs together."""
    found = (
        NodeEvent(
            names.normalize(text(node)),
            float(start),
            float(end) if end else None,
            numbered_state(int(state)),
            text(reason),
        )
        for node, start, end, state, reason in rows
    )
    return NodeEvents(merge_events(found), cut)


def reservation(schema: Schema) -> str:
    """Select the reservation that covers the start of a run: parameter (job_db_inx).

    A changed reservation has several rows: the newest that began by the time of the run's start is meant.
    """
    return (
        f"SELECT CAST(resv.resv_name AS BINARY), resv.time_start, resv.time_end FROM {schema.table('job')} job"  # noqa: S608
        f" JOIN {schema.table('resv')} resv ON resv.id_resv=job.id_resv AND resv.time_start<=job.time_start"
        " WHERE job.job_db_inx=%s AND job.id_resv<>0 AND resv.deleted+0=0"
        " AND (resv.time_end>job.time_start OR resv.time_end=0) ORDER BY resv.time_start DESC LIMIT 1"
    )


def parse_reservation(rows: Sequence[Row]) -> Reservation | None:
    """Parse the reservation; None for a run without."""
    if not rows:
        return None
    name, start, end = rows[0]
    return Reservation(text(name), float(start), float(end) if end else None)
