"""Nodes: what is on them, what cannot be seen, what they draw."""

from typing import Final

from boards.frame import CLUSTER, Board, Choice, Row
from boards.promql import NAMED, largest, now, number, total
from boards.style import UNKNOWN, Column, Line, Rows, graph, listed, single

_OF: Final = ('cluster="$cluster"', 'node=~"$node"')
_NODE: Final = ("cluster", "node")
_ODD: Final = 'state!~"allocated|idle|mixed|_other"'
_STATE: Final = Row(
    "Now",
    [
        single(
            "Nodes with jobs", "Jobs that hold something there.", f"count({now('node_jobs', *_OF, NAMED['node'])} > 0)"
        ),
        single(
            "CPUs allocated",
            "By running jobs; a job of several nodes is spread over them.",
            total(now("node_allocated_cpus", *_OF)),
        ),
        single("GPUs allocated", "By running jobs.", total(now("node_allocated_gpus", *_OF))),
        single(
            "Exporters that are down",
            "slurm-job-exporter cannot be scraped; jobs there are not judged.",
            number(f"{now('node_exporter_up', *_OF, NAMED['node'])} == 0", now("node_exporter_up", *_OF)),
            limits=(1, 10),
        ),
        single(
            "Exporters that show no jobs",
            "Up, and blind for several jobs that have been there for minutes.",
            number(f"{now('node_exporter_blind', *_OF, NAMED['node'])} == 1", now("node_exporter_blind", *_OF)),
            limits=(1, 10),
        ),
        single(
            "Jobs that are not seen",
            "After two scrapes nothing is known of them on a node.",
            total(now("node_unobserved_jobs", *_OF)),
            limits=(1, 10),
        ),
    ],
)

_TIME: Final = Row(
    "Over time",
    [
        graph(
            "Nodes by state",
            "As sinfo words it; each node once.",
            Line("{{state}}", total(now("cluster_slurmctld_nodes", 'cluster="$cluster"'), "state")),
            stacked=True,
        ),
        graph(
            "Power by whose it is",
            "Of the jobs, of nobody, or not known whose, of the nodes chosen.",
            Line("jobs", total(now("node_power_watts", *_OF, component="jobs"))),
            Line("nobody's", total(now("node_power_watts", *_OF, component="idle")), "orange"),
            Line("not known whose", total(now("node_power_watts", *_OF, component="unattributed")), UNKNOWN),
            unit="watt",
            stacked=True,
        ),
        graph(
            "CPUs allocated by node",
            "The 20 nodes with most; a job of several nodes is spread over them.",
            Line("{{node}}", f"topk(20, {total(now('node_allocated_cpus', *_OF, NAMED['node']), *_NODE)})"),
        ),
        graph(
            "Jobs that are not seen by node",
            "The 20 nodes with most. Also 0: all jobs there are seen.",
            Line("{{node}}", f"topk(20, {total(now('node_unobserved_jobs', *_OF, NAMED['node']), *_NODE)})"),
        ),
    ],
)

_LIST: Final = Row(
    "Nodes",
    [
        listed(
            "The busiest nodes",
            "The 200 with most jobs. An empty cell is not known, or there is none.",
            Rows(
                _NODE,
                [
                    Column("Jobs", largest(200, now("node_jobs", *_OF, NAMED["node"]), *_NODE)),
                    Column("CPUs allocated", total(now("node_allocated_cpus", *_OF), *_NODE)),
                    Column("Memory allocated", total(now("node_allocated_memory_bytes", *_OF), *_NODE), "bytes"),
                    Column("GPUs allocated", total(now("node_allocated_gpus", *_OF), *_NODE)),
                    Column("Power", total(now("node_power_watts", *_OF), *_NODE), "watt"),
                    Column("Exporter up", total(now("node_exporter_up", *_OF), *_NODE)),
                    Column("Jobs not seen", total(now("node_unobserved_jobs", *_OF), *_NODE), limits=(1, 2)),
                ],
            ),
            height=14,
        ),
        listed(
            "Nodes in another state than allocated, idle or mixed",
            "Each of the node's states and flags, as sinfo words it.",
            Rows(
                (*_NODE, "state"),
                [
                    Column("Is", f"{total(now('node_state', *_OF, _ODD), *_NODE, 'state')} == 1"),
                ],
            ),
        ),
    ],
)

BOARD: Final = Board(
    "nodes",
    "HPC: nodes",
    "What is on the nodes, what cannot be seen there, and what they draw.",
    [CLUSTER, Choice("node", 'hpc_node_info{cluster="$cluster"}', several=True)],
    [_STATE, _TIME, _LIST],
)
