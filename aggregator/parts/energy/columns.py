"""The columns of energy: what the ledger adds to `jobs`, and its tables of users, accounts, nodes and the cluster."""

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table
from aggregator.model.energy import COMPONENTS, METERS, MODELS
from aggregator.parts.jobs.declare import coverage, fact, gauge, table_of_runs

_LEDGER: Final = "ledger of closed windows (docs/energy.md)"
_CO2: Final = "kWh × energy.pue × energy.co2.static_g_per_kwh"
_COST: Final = "kWh × energy.pue × energy.tariff; hours of what is held"
_NOTHING: Final = "nothing was measured"
_UNSEEN: Final = "no closed window has the run"
_JOULES, _WATTS = "power_coverage_ratio", "watts_coverage_ratio"


def _power(of: str, help: str, cost: str, source: str) -> Family:
    return Family(name=f"hpc_{of}_power_watts", help=help, cost=cost, source=source, labels=("component",))


_POWER: Final = _power(
    "job", "Mean power in the last closed window, as far as measured: its part of its nodes, and its own GPUs.",
    "1–2 × running jobs", _LEDGER,
)  # fmt: skip
WASTED_GPU_SECONDS: Final = gauge(
    "wasted_gpu_seconds", "GPU time held and not utilised over the run so far, as far as it was observed.",
    "the ledger: observed GPU time − Σ utilisation × time", null="no GPU time was observed",
)  # fmt: skip
WASTED_GPU_UNIT_SECONDS: Final = gauge(
    "wasted_gpu_unit_seconds", "GPU time held and not utilised, in the site's units (energy.gpu_classes) × seconds.",
    "wasted GPU time × allocated units ÷ allocated GPUs", null="no GPU time was observed, or a type without units",
    cost="GPU jobs",
)  # fmt: skip


def _number(name: str, help: str, null: str = _UNSEEN, coverage: str = "") -> Column:
    return fact(name, pl.Float64, help, null, coverage=coverage)


def _shown_watts(name: str, component: str) -> Column:
    return fact(
        f"shown_{name}", pl.Float64, f"The {name} of all runs of the job id, for the run that is meant by it.",
        _NOTHING, Sample(family=_POWER, labels={"component": component}),
    )  # fmt: skip


OF_JOBS: Final = (
    _number("ledger_since_timestamp_seconds", "Start of the first closed window that the run touched, cut to the run."),
    _number("ledger_until_timestamp_seconds", "End of the last one, cut to the run."),
    _number("ledger_gpu_seconds", "GPUs × time whose utilisation was known."),
    _number("ledger_gpu_used_seconds", "Sum of utilisation × time."),
    fact("has_gpu_time", pl.Boolean, "Whether any GPU time was observed."),
    gauge("gpu_idle_seconds",
          "How long all GPUs of the job have been idle, as observed; unobserved time neither adds nor subtracts.",
          "the ledger", null=_UNSEEN, where="has_gpu_time", adds_up=False),
    _number("gpu_partly_idle_seconds", "Observed time since all its GPUs were last busy."),
    _number("gpu_unseen_seconds", "Time since one of its GPUs was last busy in which nothing was observed."),
    _number("gpu_partly_unseen_seconds", "The same since all were."),
    coverage("power", "the run's time and nodes in which all was known that its energy rests on"),
    _number("node_watts", "Mean power of its share of its nodes in the last closed window.", _NOTHING, _WATTS),
    _number("gpu_watts", "Mean power of its own GPUs in the last closed window.", _NOTHING, _WATTS),
    _number("watts_coverage_ratio", "Share of that window in which all was known that its power rests on.", _NOTHING),
    _shown_watts("node_watts", "node"),
    _shown_watts("gpu_watts", "gpu"),
    gauge("energy_joules_total", "Energy of the run by the configured model, GPUs included, as far as it was measured.",
          _LEDGER, null=_NOTHING, coverage=_JOULES),
    *(_number(f"{model}_energy_joules", f"Energy of the run by the model {model}, GPUs included.", _NOTHING, _JOULES)
      for model in MODELS),
    _number("gpu_energy_joules", "Energy of its own GPUs.", _NOTHING),
    *(_number(f"{meter}_coverage_ratio", f"Share of its time on nodes that {meter} has measured.", "none")
      for meter in METERS),
    gauge("co2_grams_total", "Grams of CO2 equivalent of the run's energy.", _CO2, null=f"{_NOTHING}, or no factor",
          coverage=_JOULES),
    gauge("gpu_efficiency_ratio", "Mean utilisation of the run's GPUs over the time in which it was observed.",
          _LEDGER, null="no GPU time was observed", cost="GPU jobs"),
    WASTED_GPU_SECONDS, WASTED_GPU_UNIT_SECONDS,
)  # fmt: skip


def _amounts(**families: Family) -> tuple[Column, ...]:
    """Declare what somebody has cost: amounts by component and currency in each row, each a family."""
    labels = {label: label for label in ("component", "currency")}
    return (
        fact("component", pl.String, "electricity, cooling or hardware."),
        fact("currency", pl.String, "Currency of the amount."),
        *(
            fact(name, pl.Float64, family.help, sample=Sample(family=family, label_columns=labels))
            for name, family in families.items()
        ),
    )


def _cost(of: str, help: str, cost: str) -> Family:
    return Family(
        name=f"hpc_{of}_cost_total", help=help, cost=cost, source=_COST, labels=("component", "currency")
    )  # fmt: skip


JOB_COSTS: Final = table_of_runs(
    "job_costs", "cost of a job", _amounts(amount=_cost("job", "What the run has cost.", "jobs × 1–3"))
)


def _wasted_cost(of: str, whose: str, cost: str) -> Family:
    help = f"What was paid for what the jobs {whose} held and did not use, as far as it was seen."
    return _cost(f"{of}_wasted", help, cost)


# Counter of waste → what it adds up, what null means, and where it comes from.
_WASTE: Final = {
    "wasted_cpu_seconds_total": (
        "CPU time held and not used, in windows in which at least 0.8 of a job's nodes showed its use,",
        "no use was seen", "Σ of windows: seconds × max(0, allocated − used)",
    ),
    "wasted_gpu_seconds_total": (
        "GPU time held and not utilised, as far as it was observed,",
        "no GPU time was observed", "Σ of windows: seconds × max(0, judged − Σ utilisation)",
    ),
    "wasted_energy_joules_total": (
        "Energy of CPUs and GPUs that were held and not used, as far as it was measured,",
        f"{_NOTHING}, or no use was seen", "Σ of windows: joules of hosts × idle part of CPUs, of GPUs × that of GPUs",
    ),
}  # fmt: skip


def _waste(of: str, whose: str, cost: str) -> Iterator[Column]:
    """Declare the counters of what jobs held and did not use."""
    for name, (what, null, source) in _WASTE.items():
        help = f"{what} of the jobs {whose}; survives restarts."
        family = Family(name=f"hpc_{of}_{name}", help=help, cost=cost, source=source)
        yield fact(name, pl.Float64, help, null, Sample(family=family))


def _sums(of: str, whose: str, labels: Mapping[str, str]) -> tuple[Table, Table]:
    """Declare the same counters for users and for accounts: their energy, and what it costs."""
    cost = f"{of}s active in 30 days"
    names = tuple(fact(name, pl.String, f"The {name}.") for name in labels)
    energy = Family(
        name=f"hpc_{of}_energy_joules_total", help=f"Energy of the jobs {whose}; survives restarts.", cost=cost,
        source=_LEDGER,
    )  # fmt: skip
    co2 = Family(
        name=f"hpc_{of}_co2_grams_total", help=f"Grams of CO2 equivalent of the energy of the jobs {whose}.",
        cost=cost, source=_CO2,
    )  # fmt: skip
    sums = (
        fact("until_seconds", pl.Float64, "End of the last closed window with a run (epoch seconds)."),
        fact("energy_joules_total", pl.Float64, energy.help, _NOTHING, Sample(family=energy)),
        fact("co2_grams_total", pl.Float64, co2.help, f"{_NOTHING}, or no factor", Sample(family=co2)),
        *_waste(of, whose, cost),
    )
    costs = _amounts(
        amount=_cost(of, f"What the jobs {whose} have cost.", f"{cost} × 1–3"),
        wasted_amount=_wasted_cost(of, whose, f"{cost} × 1–3"),
    )
    return (
        Table(name=f"{of}_energy", of=f"{of}'s energy", collect=f"{of}s", labels=labels, columns=(*names, *sums)),
        Table(name=f"{of}_costs", of=f"cost of a {of}", collect=f"{of}s", labels=labels, columns=(*names, *costs)),
    )


USER_ENERGY, USER_COSTS = _sums("user", "of the user under the account", {"user": "user", "account": "account"})
ACCOUNT_ENERGY, ACCOUNT_COSTS = _sums("account", "of the account itself", {"account": "account"})


def _by_component(unit: str, family: Family) -> Iterator[Column]:
    for name in COMPONENTS:
        sample = Sample(family=family, labels={"component": name})
        yield fact(f"{name}_{unit}", pl.Float64, f"{family.help} Here: {name}.", _NOTHING, sample)


def _energy(of: str, help: str, cost: str, source: str) -> Family:
    return Family(name=f"hpc_{of}_energy_joules_total", help=help, cost=cost, source=source, labels=("component",))


_WHOSE: Final = "by whose it is: the jobs', nobody's, or not known whose"
_METER: Final = Family(
    name="hpc_node_power_meter_info",
    help="1; meter is what measured the node in the last closed window: redfish (BMC) or rapl (processors).",
    cost="measured nodes", source=_LEDGER, labels=("meter",),
)  # fmt: skip
NODE_ENERGY: Final = Table(
    name="node_energy", of="node", collect="nodes", labels={"node": "node"},
    columns=(
        fact("node", pl.String, "Name of the node."),
        *_by_component("watts", _power("node", f"Mean power of the node in the last closed window {_WHOSE}.",
                                       "3 × measured nodes", _LEDGER)),
        fact("meter", pl.String, "What measured the node in the last closed window.", _NOTHING,
             Sample(family=_METER, label_columns={"meter": "meter"}, constant=True)),
        *_by_component("joules", _energy("node", f"Energy of the node {_WHOSE}.", "3 × measured nodes", _LEDGER)),
    ),
)  # fmt: skip
CLUSTER_ENERGY: Final = Table(
    name="cluster_energy", of="cluster", collect="nodes", labels={},
    columns=(
        fact("window_end_seconds", pl.Float64, "End of the last closed window (epoch seconds)."),
        *_by_component("watts", _power("cluster", f"Power of the measured nodes in the last closed window {_WHOSE}.",
                                       "3", "Σ of hpc_node_power_watts")),
        *_by_component("joules", _energy("cluster", f"Energy of the measured nodes {_WHOSE}.", "3",
                                         "Σ of hpc_node_energy_joules_total")),
        *_waste("cluster", "of the cluster", "1"),
    ),
)  # fmt: skip
CLUSTER_COSTS: Final = Table(
    name="cluster_costs", of="waste of the cluster", collect="nodes", labels={},
    columns=_amounts(wasted_amount=_wasted_cost("cluster", "of the cluster", "1–3")),
)  # fmt: skip
TABLES: Final = (
    JOB_COSTS, USER_ENERGY, USER_COSTS, ACCOUNT_ENERGY, ACCOUNT_COSTS, NODE_ENERGY, CLUSTER_ENERGY, CLUSTER_COSTS,
)  # fmt: skip
