"""What may differ, each with its reason: one line for each intended difference, and what is not compared by value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.differential.page import Difference


@dataclass(frozen=True)
class Intended:
    """A difference that is meant: its family, the labels by which it is known (patterns), and why.

    *inputs* names where it occurs, all of them when it is empty.
    """

    family: str
    why: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    inputs: tuple[str, ...] = ()

    def covers(self, difference: Difference, of: str) -> bool:
        """Tell whether a difference in the input *of* is this one."""
        there = dict(difference.labels)
        return (
            difference.family == self.family
            and (not self.inputs or of in self.inputs)
            and all(re.fullmatch(pattern, there.get(name, "")) for name, pattern in self.labels.items())
        )


# What this edition says otherwise on purpose: Intended("hpc_family", "why", {"label": "pattern"}, ("demo",)).
_REQUEUED = (
    "the demo's exporters show both runs of a job that is requeued within a window: its energy is not unattributed"
)
_LIMITS = "limits of the allocations file are known while nothing says what is used"
_ALERTS = "the webhook of Alertmanager: a family more"
_WORDS = "the words of the rules of waste: a family more"
_WASTE = "waste as counters: families more"
_SO_FAR = "waste so far of running jobs gives its name in OpenMetrics to the counter: a family less"
INTENDED: tuple[Intended, ...] = (
    *(
        Intended(f"hpc_storage_quota_{what}", _LIMITS, {"filesystem": "oldproject"}, ("exporters",))
        for what in ("bytes", "inodes")
    ),
    Intended("hpc_aggregator_series", _LIMITS, {"family": "hpc_storage_quota_(bytes|inodes)"}, ("exporters",)),
    Intended("# TYPE hpc_aggregator_series_folded", "limits.series keeps series within a budget: a family more"),
    *(
        Intended(f"{before}hpc_aggregator_alerts{suffix}", _ALERTS)
        for before, suffix in (("# TYPE ", ""), ("# TYPE ", "_total"), ("", "_total"))
    ),
    *(Intended(f"{before}hpc_waste_rule_info", _WORDS) for before in ("# TYPE ", "")),
    Intended("hpc_aggregator_series", _WORDS, {"family": "hpc_waste_rule_info"}),
    *(
        Intended(f"{before}hpc_{of}_wasted_{what}{suffix}", _WASTE)
        for of in ("user", "account", "cluster")
        for what in ("cpu_seconds", "gpu_seconds", "energy_joules", "cost")
        for before, suffix in (("# TYPE ", ""), ("# TYPE ", "_total"), ("", "_total"))
    ),
    *(Intended(f"hpc_{of}_wasted_{what}_seconds", _SO_FAR) for of in ("user", "account") for what in ("cpu", "gpu")),
    Intended("hpc_aggregator_series", _WASTE, {"family": "hpc_(user|account|cluster)_wasted_.*_total"}),
    Intended("hpc_aggregator_series", _SO_FAR, {"family": "hpc_(user|account)_wasted_[cg]pu_seconds"}),
    Intended("hpc_job_info", "components have their number in the job as a label", {"het_job_id": ".+"}),
    Intended("hpc_job_coverage_ratio", _REQUEUED, {"input": "power"}, ("demo",)),
    Intended("hpc_cluster_energy_joules_total", _REQUEUED, inputs=("demo",)),
    Intended("hpc_node_energy_joules_total", _REQUEUED, inputs=("demo",)),
    *(
        Intended(f"hpc_{of}_{what}_total", _REQUEUED, inputs=("demo",))
        for of in ("job", "user", "account")
        for what in ("energy_joules", "co2_grams", "cost")
    ),
)

# What depends on the machine and on how often a loop came round, not on what was read: the samples must be there in
# both editions, and their values are not compared.
MEASURED: Mapping[str, str] = {
    r"process_\w+": "the process",
    r"hpc_aggregator_build_info": "the edition itself",
    r"hpc_aggregator_source_fetch_duration_seconds_\w+": "durations, and how many there were",
    r"hpc_aggregator_http_request_duration_seconds_\w+": "durations, and how many there were",
    r"hpc_aggregator_refresh_duration_seconds": "durations",
    r"hpc_aggregator_(http_connections|http_requests_in_flight|database_connections)": "what is open at the moment",
    r"hpc_aggregator_(event_loop_lag_seconds|loop_age_seconds)": "durations",
    r"hpc_aggregator_executor_(busy_threads|waiting_calls)": "what runs at the moment",
    r"hpc_aggregator_rejected_values_total": "counted at each fetch",
}
_MEASURED = re.compile("|".join(MEASURED))


def is_measured(difference: Difference) -> bool:
    """Tell whether a difference is one of a value that is not compared."""
    return difference.is_of_value and _MEASURED.fullmatch(difference.family) is not None


def intention(difference: Difference, of: str, table: tuple[Intended, ...] = INTENDED) -> Intended | None:
    """Find why a difference in the input *of* is meant; None for one that is not."""
    return next((each for each in table if each.covers(difference, of)), None)
