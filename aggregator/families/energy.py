"""Power, energy, CO2 and cost of jobs, users, accounts, nodes and clusters, from the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aggregator.families.jobs import JOB
from aggregator.families.spec import Entity, Family, LabelValues, View, cluster_of
from aggregator.families.sums import ACCOUNT, USER
from aggregator.join.energy import by_component
from aggregator.model.view import ClusterView, EnergySums, Job, NodeEnergy, Sums

_LEDGER = "ledger of closed windows (docs/energy.md)"
_CO2 = "kWh × energy.pue × energy.co2.static_g_per_kwh"
_COST = "kWh × energy.pue × energy.tariff; hours of what is held"
_COST_LABELS = ("component", "currency")


def _energy_users(view: View) -> Sequence[EnergySums]:
    return view.energy_users if isinstance(view, ClusterView) else ()


def _energy_accounts(view: View) -> Sequence[EnergySums]:
    return view.energy_accounts if isinstance(view, ClusterView) else ()


def _nodes(view: View) -> Sequence[NodeEnergy]:
    return view.nodes if isinstance(view, ClusterView) else ()


def _clusters(view: View) -> Sequence[ClusterView]:
    return (view,) if isinstance(view, ClusterView) and view.ledger_end is not None else ()


ENERGY_USER: Entity[EnergySums] = Entity(
    name="user's energy",
    group="users",
    labels=("cluster", "user", "account"),
    of=_energy_users,
    label_values=lambda view, sums: (cluster_of(view), sums.user, sums.account),
)
ENERGY_ACCOUNT: Entity[EnergySums] = Entity(
    name="account's energy",
    group="accounts",
    labels=("cluster", "account"),
    of=_energy_accounts,
    label_values=lambda view, sums: (cluster_of(view), sums.account),
)
NODE: Entity[NodeEnergy] = Entity(
    name="node",
    group="nodes",
    labels=("cluster", "node"),
    of=_nodes,
    label_values=lambda view, node: (cluster_of(view), node.node),
)
CLUSTER: Entity[ClusterView] = Entity(
    name="cluster",
    group="nodes",
    labels=("cluster",),
    of=_clusters,
    label_values=lambda view, _: (cluster_of(view),),
)


def _power(job: Job) -> Iterable[tuple[LabelValues, float | None]]:
    if job.energy:
        yield ("node",), job.energy.node_watts
        yield ("gpu",), job.energy.gpu_watts


def _job_cost(job: Job) -> Iterable[tuple[LabelValues, float]]:
    return job.ledger.cost.items() if job.ledger else ()


def _gpu_efficiency(job: Job) -> float | None:
    return job.ledger.gpu_utilization if job.ledger else None


def _sums_cost(sums: EnergySums) -> Iterable[tuple[LabelValues, float]]:
    return sums.totals.cost.items()


def _node_watts(node: NodeEnergy) -> Iterable[tuple[LabelValues, float]]:
    return _labelled(node.watts or {})


def _meter(node: NodeEnergy) -> Iterable[tuple[LabelValues, float]]:
    return (((node.meter,), 1.0),) if node.meter else ()


def _node_joules(node: NodeEnergy) -> Iterable[tuple[LabelValues, float]]:
    return _labelled(node.totals.joules)


def _cluster_watts(view: ClusterView) -> Iterable[tuple[LabelValues, float]]:
    return _labelled(by_component(node.watts or {} for node in view.nodes))


def _cluster_joules(view: ClusterView) -> Iterable[tuple[LabelValues, float]]:
    return _labelled(by_component(node.totals.joules for node in view.nodes))


def _labelled(components: Mapping[str, float]) -> Iterable[tuple[LabelValues, float]]:
    return (((component,), amount) for component, amount in components.items())


JOB_FAMILIES: tuple[Family[Job], ...] = (
    Family(
        name="hpc_job_power_watts",
        help="Mean power in the last closed window, as far as measured: its part of its nodes, and its own GPUs.",
        entity=JOB, cost="1–2 × running jobs", source=_LEDGER, labels=("component",), samples=_power,
    ),
    Family(
        name="hpc_job_energy_joules_total",
        help="Energy of the run by the configured model, GPUs included, as far as it was measured.",
        entity=JOB, cost="jobs", source=_LEDGER, value=lambda job: job.energy.joules if job.energy else None,
    ),
    Family(
        name="hpc_job_co2_grams_total", help="Grams of CO2 equivalent of the run's energy.",
        entity=JOB, cost="jobs", source=_CO2, value=lambda job: job.ledger.co2_grams if job.ledger else None,
    ),
    Family(
        name="hpc_job_cost_total", help="What the run has cost.",
        entity=JOB, cost="jobs × 1–3", source=_COST, labels=_COST_LABELS, samples=_job_cost,
    ),
    Family(
        name="hpc_job_gpu_efficiency_ratio",
        help="Mean utilisation of the run's GPUs over the time in which it was observed.",
        entity=JOB, cost="GPU jobs", source=_LEDGER, value=_gpu_efficiency,
    ),
)  # fmt: skip


def _power_family(entity: Entity[Sums], of_whom: str) -> Family[Sums]:
    return Family(
        name=f"hpc_{entity.name}_power_watts",
        help=f"Power of the jobs {of_whom} in the last closed window, as far as it was measured.",
        entity=entity, cost=f"active {entity.name}s", source="Σ of hpc_job_power_watts",
        value=lambda sums: sums.power_watts,
    )  # fmt: skip


def _totals(entity: Entity[EnergySums], name: str, of_whom: str) -> tuple[Family[EnergySums], ...]:
    """Declare the same counters for users and for accounts."""
    cost = f"{name}s active in 30 days"
    return (
        Family(
            name=f"hpc_{name}_energy_joules_total", help=f"Energy of the jobs {of_whom}; survives restarts.",
            entity=entity, cost=cost, source=_LEDGER, value=lambda sums: sums.totals.joules,
        ),
        Family(
            name=f"hpc_{name}_co2_grams_total", help=f"Grams of CO2 equivalent of the energy of the jobs {of_whom}.",
            entity=entity, cost=cost, source=_CO2, value=lambda sums: sums.totals.co2_grams,
        ),
        Family(
            name=f"hpc_{name}_cost_total", help=f"What the jobs {of_whom} have cost.",
            entity=entity, cost=f"{cost} × 1–3", source=_COST, labels=_COST_LABELS, samples=_sums_cost,
        ),
    )  # fmt: skip


_OF_USER, _OF_ACCOUNT = "of the user under the account", "of the account itself"
SUMS_FAMILIES: tuple[Family[Any], ...] = (
    _power_family(USER, _OF_USER),
    *_totals(ENERGY_USER, "user", _OF_USER),
    _power_family(ACCOUNT, _OF_ACCOUNT),
    *_totals(ENERGY_ACCOUNT, "account", _OF_ACCOUNT),
)
_NODE_HELP = "by whose it is: the jobs', nobody's, or not known whose"
NODE_FAMILIES: tuple[Family[NodeEnergy], ...] = (
    Family(
        name="hpc_node_power_watts", help=f"Mean power of the node in the last closed window {_NODE_HELP}.",
        entity=NODE, cost="3 × measured nodes", source=_LEDGER, labels=("component",), samples=_node_watts,
    ),
    Family(
        name="hpc_node_power_meter_info",
        help="1; meter is what measured the node in the last closed window: redfish (BMC) or rapl (processors).",
        entity=NODE, cost="measured nodes", source=_LEDGER, labels=("meter",), samples=_meter,
    ),
    Family(
        name="hpc_node_energy_joules_total", help=f"Energy of the node {_NODE_HELP}.",
        entity=NODE, cost="3 × measured nodes", source=_LEDGER, labels=("component",), samples=_node_joules,
    ),
)  # fmt: skip
CLUSTER_FAMILIES: tuple[Family[ClusterView], ...] = (
    Family(
        name="hpc_cluster_power_watts", help=f"Power of the measured nodes in the last closed window {_NODE_HELP}.",
        entity=CLUSTER, cost="3", source="Σ of hpc_node_power_watts", labels=("component",), samples=_cluster_watts,
    ),
    Family(
        name="hpc_cluster_energy_joules_total", help=f"Energy of the measured nodes {_NODE_HELP}.",
        entity=CLUSTER, cost="3", source="Σ of hpc_node_energy_joules_total", labels=("component",),
        samples=_cluster_joules,
    ),
)  # fmt: skip
