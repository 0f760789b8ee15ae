"""The site: what runs, what is used and wasted, and whether the numbers can be trusted."""

from typing import Final

from boards.frame import CLUSTERS, Board, Row
from boards.promql import CLUSTERS as C
from boards.promql import NAMED, largest, now, number, total
from boards.style import ACCENT, ALLOCATED, CAPACITY, WASTED, Column, Line, Rows, graph, listed, single

_CAPACITY: Final = "capacity, as slurmctld counts it"
_NOW: Final = Row(
    "What runs now",
    [
        single(
            "Running jobs",
            "Array tasks and components of heterogeneous jobs are counted.",
            total(now("account_jobs", C, state="running")),
        ),
        single("Pending jobs", "Array tasks that wait are counted.", total(now("account_jobs", C, state="pending"))),
        single(
            "CPUs allocated",
            "Of all CPUs, as slurmctld counts them. Not known without an exporter of slurmctld's state.",
            f"{total(now('cluster_slurmctld_cpus', C, state='allocated'))}"
            f" / {total(now('cluster_slurmctld_capacity', C, resource='cpus'))}",
            "percentunit",
        ),
        single(
            "GPUs allocated",
            "Of all GPUs, as slurmctld counts them. Not known without an exporter of slurmctld's state.",
            f"{total(now('cluster_slurmctld_gpus', C, state='allocated'))}"
            f" / {total(now('cluster_slurmctld_capacity', C, resource='gpus'))}",
            "percentunit",
        ),
        single(
            "Jobs with a critical finding",
            "Running jobs of which a rule of waste holds at its critical level.",
            number(
                f"count by (cluster, slurmjobid) ({now('job_waste', C, severity='critical')})", now("account_jobs", C)
            ),
            limits=(1, 1000),
        ),
        single(
            "Power of the nodes",
            "Measured nodes only, in the last closed window of the energy ledger.",
            total(now("cluster_power_watts", C)),
            "watt",
        ),
    ],
)

_USE: Final = Row(
    "What is allocated, used and wasted",
    [
        graph(
            "CPUs",
            "Used: busy now. Wasted: allocated and not busy, where enough was seen to say so. No line: not known.",
            Line(_CAPACITY, total(now("cluster_slurmctld_capacity", C, resource="cpus")), CAPACITY, dashed=True),
            Line("allocated", total(now("account_allocated_cpus", C)), ALLOCATED),
            Line("used", total(now("account_used_cpus", C)), ACCENT),
            Line("wasted", total(now("account_wasted_cpus", C)), WASTED),
        ),
        graph(
            "GPUs",
            "Used: the sum of the utilisation. A GPU that no process has opened counts as wasted where it would be"
            " seen. No line: not known.",
            Line(_CAPACITY, total(now("cluster_slurmctld_capacity", C, resource="gpus")), CAPACITY, dashed=True),
            Line("allocated", total(now("account_allocated_gpus", C)), ALLOCATED),
            Line("used", total(now("account_used_gpus", C)), ACCENT),
            Line("wasted", total(now("account_wasted_gpus", C)), WASTED),
        ),
        graph(
            "Memory",
            "Wasted: above both the fair share and the peak. No line: not known.",
            Line("allocated", total(now("account_allocated_memory_bytes", C)), ALLOCATED),
            Line("used", total(now("account_used_memory_bytes", C)), ACCENT),
            Line("wasted", total(now("account_wasted_memory_bytes", C)), WASTED),
            unit="bytes",
        ),
        graph(
            "Jobs by state",
            "Open jobs; array tasks are counted.",
            Line("{{state}}", total(now("account_jobs", C), "state")),
            stacked=True,
        ),
    ],
)

_ROWS: Final = ("cluster", "account")
_WHO: Final = Row(
    "Who holds most",
    [
        listed(
            "Accounts by allocated CPUs",
            "Each account without those below it. An empty cell is not known, not 0.",
            Rows(
                _ROWS,
                [
                    Column("CPUs allocated", largest(25, now("account_allocated_cpus", C, NAMED["account"]), *_ROWS)),
                    Column("CPUs wasted", total(now("account_wasted_cpus", C), *_ROWS)),
                    Column("GPUs allocated", total(now("account_allocated_gpus", C), *_ROWS)),
                    Column("GPUs wasted", total(now("account_wasted_gpus", C), *_ROWS)),
                    Column("Memory wasted", total(now("account_wasted_memory_bytes", C), *_ROWS), "bytes"),
                    Column("Power", total(now("account_power_watts", C), *_ROWS), "watt"),
                ],
            ),
        ),
    ],
)

_HELD: Final = now("account_allocated_cpus", C)
_TRUST: Final = Row(
    "Whether the numbers can be trusted",
    [
        single(
            "CPUs whose use is seen",
            "The part of the allocated CPUs that the sums of use rest on.",
            f"sum({now('account_coverage_ratio', C, input='cpu')} * ignoring (input) {_HELD}) / sum({_HELD})",
            "percentunit",
            span=6,
        ),
        single(
            "Nodes whose exporter is down",
            "Jobs on them are not judged.",
            number(f"{now('node_exporter_up', C, NAMED['node'])} == 0", now("node_exporter_up", C)),
            limits=(1, 10),
            span=6,
        ),
        single(
            "Exporters that show no jobs",
            "Up, and blind for several jobs that have been on the node for minutes.",
            number(f"{now('node_exporter_blind', C, NAMED['node'])} == 1", now("node_exporter_blind", C)),
            limits=(1, 10),
            span=6,
        ),
        single(
            "Sources that cannot be read",
            "Of all clusters, file systems and clouds; the board of the service has which.",
            number("min without (instance, pod) (hpc_aggregator_source_up) == 0", "hpc_aggregator_source_up"),
            limits=(1, 1),
            span=6,
        ),
    ],
)

BOARD: Final = Board(
    "site",
    "HPC: the site",
    "What runs, what is used and wasted, and whether the numbers can be trusted.",
    [CLUSTERS],
    [_NOW, _USE, _WHO, _TRUST],
)
