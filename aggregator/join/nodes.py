"""What is on each node now, what is seen of it, and why something is not seen?

slurmacct says what a run holds altogether and on which nodes, not how much on each: join/spread.py divides it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from aggregator.join.nodestate import capacity
from aggregator.join.spread import spread
from aggregator.model.accounting import Run
from aggregator.model.node import Cause, Held, Hosts, Kind, NodeView, Scheduler
from aggregator.model.use import Gpu, Use

# Before that a run may have no series yet: scrapes, and the start of its processes.
SETTLE_INTERVALS: Final = 2
# A node that shows none of several jobs of that age is not one where nobody happens to have a process.
BLIND_SECONDS: Final = 300.0
BLIND_JOBS: Final = 2

EXPLANATIONS: Final[Mapping[Cause, str]] = {
    "exporter_down": "slurm-job-exporter of the node cannot be scraped, or is not scraped at all.",
    "exporter_blind": (
        "slurm-job-exporter is up and shows none of the jobs that have been on the node for minutes: Slurm 26.05 names "
        "cgroups by SLUID (CgroupJobIdPaths=yes restores them), or slurmd is a multiple-slurmd build."
    ),
    "no_process": "slurm-job-exporter is up and shows other jobs: these hold the node without any process on it.",
    "unknown": (
        "No node of the cluster shows any job, so it is not known which targets are slurm-job-exporters: all are down, "
        "or all are blind (Slurm 26.05 needs CgroupJobIdPaths=yes), or no job has a process."
    ),
}


def join_nodes(
    runs: Iterable[Run],
    use: Use | None,
    scheduler: Scheduler | None = None,
    hosts: Hosts | None = None,
    *,
    listed: Iterable[str] = (),
    kinds: Mapping[str, Kind] | None = None,
) -> tuple[NodeView, ...]:
    """Join everything that is known of each node, by name.

    listed are the cluster's nodes as slurmacct knows them; kinds names the hosts that are no compute nodes.
    """
    kinds, runs = kinds or {}, tuple(runs)
    tenants = _tenants(runs)
    told = scheduler.nodes if scheduler else {}
    names = {*listed, *told} or (use.healthy_nodes if use else None) or set()
    gpus = _gpus(use)
    bare = {
        name: NodeView(name=name, told=told.get(name), measured=measured_of(hosts, name))
        for name in {*names, *tenants} - {*kinds, ""}
    }
    parts = spread(runs, {name: capacity(node) for name, node in bare.items()})
    found = []
    for name, node in bare.items():
        on_it = tenants.get(name, ())
        jobs = tuple(sorted({run.job_id for run in on_it}))
        of_node = parts.get(name, {})
        node = replace(node, held=_held(of_node.values()), parts=of_node, jobs=jobs)
        found.append(_observed(_with_gpus(node, gpus), on_it, use))
    found += [NodeView(name=name, kind=kind, measured=measured_of(hosts, name)) for name, kind in kinds.items()]
    return tuple(sorted(found, key=lambda node: node.name))


def measured_of(hosts: Hosts | None, name: str) -> Mapping[str, float]:
    """Collect what node_exporter shows of one host, by input."""
    values = hosts.values if hosts else {}
    return {key: of_host[name] for key, of_host in values.items() if name in of_host}


def _tenants(runs: Iterable[Run]) -> Mapping[str, Sequence[Run]]:
    found: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        if run.holds_resources:
            for node in dict.fromkeys(run.nodes):
                found[node].append(run)
    return found


def _held(parts: Iterable[Held]) -> Held:
    """Add up the parts of a node; its memory is not known where that of no run is."""
    parts = tuple(parts)
    gpus: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for gpu_type, count in part.gpus.items():
            gpus[gpu_type] += count
    memory = [part.memory_bytes for part in parts if part.memory_bytes is not None]
    return Held(
        cpus=sum(part.cpus for part in parts),
        memory_bytes=sum(memory) if memory or not parts else None,
        gpus=dict(gpus),
        estimated=any(part.estimated for part in parts),
    )


def _gpus(use: Use | None) -> Mapping[str, Sequence[Gpu]] | None:
    if use is None or use.gpus is None:
        return None
    found: defaultdict[str, list[Gpu]] = defaultdict(list)
    for gpus in use.gpus.values():
        for gpu in gpus:
            found[gpu.node].append(gpu)
    return found


def _with_gpus(node: NodeView, gpus: Mapping[str, Sequence[Gpu]] | None) -> NodeView:
    if gpus is None:
        return node
    of_node = gpus.get(node.name, ())
    known = [gpu.utilization for gpu in of_node if gpu.utilization is not None]
    return replace(node, observed_gpus=len(of_node), used_gpus=sum(known) if known else None)


def _observed(node: NodeView, tenants: Sequence[Run], use: Use | None) -> NodeView:
    """Say which jobs of a node slurm-job-exporter does not show, and why."""
    if use is None or use.memory_bytes is None:
        # An input that could not be read does not show that anything is missing.
        return node
    settled = [run for run in tenants if run.elapsed(use.time) >= SETTLE_INTERVALS * use.interval]
    unobserved = [run for run in settled if not _is_seen(run, node.name, use)]
    return replace(
        node,
        unobserved=tuple(sorted({run.job_id for run in unobserved})),
        exporter_up=node.name in use.healthy_nodes if use.healthy_nodes else None,
        cause=_cause(node.name, tenants, unobserved, use) if unobserved else None,
    )


def _is_seen(run: Run, node: str, use: Use) -> bool:
    inputs = (use.memory_bytes, use.cpus, use.cpu_seconds, use.threads)
    return any(node in values.get(run.job_id, {}) for values in inputs if values is not None)


def _cause(name: str, tenants: Sequence[Run], unobserved: Sequence[Run], use: Use) -> Cause:
    if not use.healthy_nodes:
        return "unknown"
    if name not in use.healthy_nodes:
        return "exporter_down"
    old = {run.job_id for run in unobserved if run.elapsed(use.time) >= BLIND_SECONDS}
    shows_nothing = not any(_is_seen(run, name, use) for run in tenants)
    return "exporter_blind" if shows_nothing and len(old) >= BLIND_JOBS else "no_process"
