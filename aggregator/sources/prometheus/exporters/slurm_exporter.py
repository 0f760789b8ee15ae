"""Inputs from prometheus-slurm-exporter (branch osc and what follows it) and slurmctld's own endpoint.

Only accounts right below the root have a level; one that has used nothing has +Inf.
"""

from collections.abc import Mapping, Sequence

from aggregator.sources.prometheus.exporter import Exporter, Needed, needed
from aggregator.sources.prometheus.expression import LABELS, SLURM_NODE, Graph, Metric, largest
from aggregator.sources.prometheus.promql import lines

LEVELS = largest("account_levelfs", "slurm_account_levelfs", "$account")
FAILURES = ("slurm_exporter_collect_error", "slurm_exporter_collect_timeout")
# A collector that failed or was too late has exported zeros.
ERRORS = tuple(largest(metric.removeprefix("slurm_exporter_"), metric, "$collector") for metric in FAILURES)
INPUTS = (LEVELS, *ERRORS)
# By which names collectors of fair share go; osc has none of them: there the exporter ends when sshare fails.
FAIRSHARE_COLLECTORS = frozenset({"sshare", "fairshare", "account", "accounts"})

# What slurmctld says, in the names of four families of exporters that a site may have, one or several of them:
# osc (and vpenso's, which it comes from), the newer ones in Go that read JSON, and slurmctld's own endpoint (≥ 25.11).
# metric → column of model/node_inputs.py: SAID_OF_NODES, factor. vpenso's memory is in MiB.
NODE_NUMBERS: Mapping[str, tuple[str, float]] = {
    "slurm_node_cpus": ("cpus", 1.0),
    "slurm_node_cpus_alloc": ("cpus_allocated", 1.0),
    "slurm_node_cpus_idle": ("cpus_idle", 1.0),
    "slurm_node_memory_bytes": ("memory_bytes", 1.0),
    "slurm_node_memory_alloc_bytes": ("memory_allocated_bytes", 1.0),
    "slurm_node_gpus": ("gpus", 1.0),
    "slurm_node_gpus_alloc": ("gpus_allocated", 1.0),
    "slurm_node_cpu_total": ("cpus", 1.0),
    "slurm_node_cpu_alloc": ("cpus_allocated", 1.0),
    "slurm_node_cpu_idle": ("cpus_idle", 1.0),
    "slurm_node_mem_total": ("memory_bytes", 2.0**20),
    "slurm_node_mem_alloc": ("memory_allocated_bytes", 2.0**20),
}
# metric → the same: GPUs of a node by type of GRES, once for each of its partitions (SckyzO's).
NODE_GPUS: Mapping[str, str] = {"slurm_node_gres_total": "gpus", "slurm_node_gres_used": "gpus_allocated"}
# metric → the label with the node's state.
NODE_STATES: Mapping[str, str] = {
    "slurm_node_state_info": "state", "slurm_node_status": "status", "slurm_node_cpu_total": "status",
}  # fmt: skip
# Of these 1 says that it is so; the others carry a number beside the state.
STATE_INFOS = frozenset({"slurm_node_state_info", "slurm_node_status"})
NODE_FEATURES = "slurm_node_features_info"
# How sinfo, and exporters that print what it prints, say that there is nothing.
NOTHING = frozenset({"", "(null)"})
# What jobs can be in as long as they are there; ended ones stay in the queue for a while that says nothing.
LIVE = ("pending", "running", "suspended", "completing", "configuring")
# metric → its place in model/node_inputs.py: SAID_BY_STATE.
_AMOUNTS = {"alloc": "allocated", "idle": "idle", "other": "other", "total": "total"}
CLUSTER_NUMBERS: Mapping[str, tuple[str, str]] = {
    **{f"slurm_{tres}_{said}": (tres, key) for tres in ("cpus", "gpus") for said, key in _AMOUNTS.items()},
    "slurm_account_job_state_cpu_alloc": ("cpus", "allocated"),
    **{f"slurm_{family}_{state}": ("jobs", state) for family in ("queue", "jobs") for state in LIVE},
    **{
        f"slurm_nodes_{said}": ("nodes", state)
        for said, state in {
            "alloc": "allocated", "comp": "completing", "completing": "completing", "down": "down", "drain": "drain",
            "drained": "drained", "draining": "draining", "err": "error", "fail": "fail", "idle": "idle",
            "maint": "maintenance", "mix": "mixed", "mixed": "mixed", "resv": "reserved", "unknown": "unknown",
            "planned": "planned", "noresp": "not_responding", "powered_down": "powered_down",
            "powering_up": "powering_up", "powering_down": "powering_down",
        }.items()
    },
}  # fmt: skip
NODES_BY_STATE = "slurm_node_count_per_state"
# metric → what it counts by its label `state`; those of jobs have Slurm's words for states of jobs.
BY_STATE: Mapping[str, str] = {NODES_BY_STATE: "nodes", "slurm_account_job_state_total": "jobs"}
JOB_STATES = frozenset({"slurm_account_job_state_total"})
# rivosinc's counts CPUs of jobs by their state, among them what pending jobs ask for and may never get.
_ONLY = {"slurm_account_job_state_cpu_alloc": ("state", "running")}
PARTITION_NUMBERS: Mapping[str, str] = {
    "slurm_partition_cpus": "cpus",
    "slurm_partition_cpus_total": "cpus",
    "slurm_partition_total_cpus": "cpus",
    "slurm_partition_cpus_alloc": "cpus_allocated",
    "slurm_partition_cpus_allocated": "cpus_allocated",
    "slurm_partition_alloc_cpus": "cpus_allocated",
    "slurm_partition_nodes_cpus_alloc": "cpus_allocated",
    "slurm_partition_gpus": "gpus",
    "slurm_partition_gpus_total": "gpus",
    "slurm_partition_gpus_alloc": "gpus_allocated",
    "slurm_partition_gpus_allocated": "gpus_allocated",
    "slurm_partition_jobs_gpus_alloc": "gpus_allocated",
    "slurm_partition_gpus_idle": "gpus_idle",
    "slurm_partition_nodes": "nodes",
}
# slurmctld's own endpoint adds these up in 16 bits (25.11 and 26.05): from 65,536 CPUs on they begin at 0 again.
WRAPPED_AT = 65_536
OWN_CPU_SUM = "slurm_jobs_cpus_alloc"
WRAPPED_PARTITION = "slurm_partition_nodes_cpus_alloc"
# It fills this with the nodes that power down.
MIXED_UP, POWERING_DOWN = "slurm_nodes_powering_up", "slurm_nodes_powering_down"
# collector → the names that are zeros when it has failed.
COLLECTED: Mapping[str, tuple[str, ...]] = {
    "cpus": ("slurm_cpus_",),
    "gpus": ("slurm_gpus_",),
    "nodes": ("slurm_nodes_", "slurm_node_"),
    "node": ("slurm_node_",),
    "queue": ("slurm_queue_",),
    "partition": ("slurm_partition_",),
}
# Which series show that an exporter of this kind is there.
KINDS: Mapping[str, frozenset[str]] = {
    "osc": frozenset({"slurm_node_state_info"}),
    "vpenso": frozenset({"slurm_node_cpu_total"}),
    "newer_exporter": frozenset({NODES_BY_STATE, *_ONLY}),
    "own_endpoint": frozenset({"slurm_node_cpus", OWN_CPU_SUM}),
}
METRICS: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *NODE_NUMBERS, *NODE_GPUS, *NODE_STATES, NODE_FEATURES, *CLUSTER_NUMBERS, *BY_STATE, *PARTITION_NUMBERS,
            OWN_CPU_SUM, *FAILURES,
        )
    )
)  # fmt: skip


def counts(metric: str, labels: Mapping[str, str]) -> bool:
    """Tell whether a sample is one of those of its metric that are read."""
    label, wanted = _ONLY.get(metric, ("", ""))
    return not label or labels.get(label, "").lower() == wanted


# What is shown over time.
_OF_CLUSTER = {"cluster": LABELS}
# As in_words() of model/nodestate.py words them: whole words in any case, joined by any sign, with marks behind.
_BUSY, _DOWN = ".*\\b(alloc|allocated|mix|mixed|comp|completing)\\b.*", ".*\\bdown\\b.*"
_DRAINING = ".*\\b(draining|drng)\\b.*"
_BAD: Mapping[str, Sequence[tuple[str, str]]] = {
    "down": (("=~", _DOWN),),
    "drained": (("=~", ".*\\b(drained|drain)\\b.*"), ("!~", f"{_BUSY}|{_DRAINING}|{_DOWN}")),
    "draining": (("=~", f"{_DRAINING}|{_BUSY}\\bdrain\\b.*|.*\\bdrain\\b{_BUSY}"), ("!~", _DOWN)),
    "fail": (("=~", ".*\\bfail\\b.*"), ("!~", f"{_BUSY}|{_DOWN}")),
}


def _whole(tres: str) -> Graph:
    """Draw what the cluster has of a resource; slurmctld's own endpoint is right in its numbers of nodes only."""
    per_node = {"allocated": f"slurm_node_{tres}_alloc", "total": f"slurm_node_{tres}"}
    if tres == "cpus":
        per_node["idle"] = "slurm_node_cpus_idle"
    metrics = {f"whole_{key}": Metric(f"slurm_{tres}_{said}") for said, key in _AMOUNTS.items()}
    metrics |= {f"node_{key}": Metric(metric) for key, metric in per_node.items()}
    metrics |= {f"fails_{number}": Metric(name, (("collector", "=", tres),)) for number, name in enumerate(FAILURES)}
    # Zeros that are shown when the collector failed are none.
    good = "(max($whole_{key}) unless on () (max($fails_0) > 0) unless on () (max($fails_1) > 0))"
    values = {key: good.format(key=key) for key in _AMOUNTS.values()}
    values |= {key: f"({values[key]} or sum(max by ($slurm_node) ($node_{key})))" for key in per_node}
    if tres == "cpus":
        # rivosinc's shows what is allocated by account only; its pending jobs have nothing.
        metrics["running"] = Metric("slurm_account_job_state_cpu_alloc", (("state", "=~", "(?i)running"),))
        values["allocated"] = f"({values['allocated']} or sum(max by ($account) ($running)))"
    values["usable"] = f"({values['allocated']} + {values['idle']})"
    return Graph(
        name=f"scheduler_{tres}", help=f"{tres.upper()[:-1]}s by what slurmctld says of them; usable: not down.",
        unit=tres, by=_OF_CLUSTER, metrics=metrics, text=lines("state", values), high=1e9,
    )  # fmt: skip


def _bad_states() -> Graph:
    """Draw 1 while a node is in a state in which it takes no jobs and 0 while it is shown and is not."""
    metrics = {
        word: Metric("slurm_node_state_info", tuple(("state", sign, f"(?i){text}") for sign, text in texts))
        for word, texts in _BAD.items()
    }
    values = {word: f"group by ($slurm_node) (${word}) or 0 * group by ($slurm_node) ($shown)" for word in _BAD}
    return Graph(
        name="bad_state", help="1 while the node is down, drained, draining or failing, 0 while it is not.",
        unit="", by={"node": SLURM_NODE}, metrics={**metrics, "shown": Metric("slurm_node_state_info")},
        text=lines("state", values), high=1.0,
    )  # fmt: skip


GRAPHS = (
    Graph(
        name="levelfs", help="LevelFS of the account, above 1 when it has had less than its share; gaps are infinite.",
        unit="ratio", by={"account": LABELS, "cluster": LABELS}, metrics=LEVELS.metrics, text=LEVELS.text,
    ),
    _whole("cpus"),
    _whole("gpus"),
    _bad_states(),
)  # fmt: skip


def _is_of_the_cluster(metric: str) -> bool:
    return not metric.startswith(("slurm_node_", "slurm_exporter_"))


# What is not known without which series.
NEEDED = (
    Needed("what slurmctld says of nodes", tuple(m for m in METRICS if m.startswith("slurm_node_"))),
    Needed("what slurmctld says of the queue", tuple(m for m in METRICS if _is_of_the_cluster(m))),
    needed("slurm_account_levelfs", "slurmctld's own fair share, to compare with", always=False),
    Needed("which collections failed", ("slurm_exporter_collect_error", "slurm_exporter_collect_timeout"), False),
)  # fmt: skip

EXPORTER = Exporter(inputs=INPUTS, graphs=GRAPHS, needed=NEEDED)
