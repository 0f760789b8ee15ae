"""The shipped rules of waste: when each holds, and above all when it does not."""

from dataclasses import replace
from typing import Any

import pytest

from aggregator.model.waste import Exemption
from tests.builders import GIB, NOW

from .scene import HEALTHY, HOURS, SHIPPED, found, make_scene, reasons

# For each rule a run of which it holds, and nothing else.
WASTEFUL: dict[str, dict[str, Any]] = {
    "gpu_unused": {"gpus": 1, "utilization": [0.0], "idle": 1 * HOURS},
    "gpu_partly_unused": {"gpus": 4, "utilization": [0.9, 0.0, 0.0, 0.0], "partly_idle": 1 * HOURS},
    "gpu_low_utilization": {"gpus": 1, "utilization": [0.24]},
    "cpu_serial": {"cpu": 0.13},
    "cpu_low": {"cpu": 0.74},
    "memory_overrequested": {"memory": 128 * GIB, "peak": 0.49},
}
RULES = {rule.name: rule for rule in SHIPPED}
every_rule = pytest.mark.parametrize("name", WASTEFUL)


def test_every_shipped_rule_is_tested() -> None:
    assert WASTEFUL.keys() == RULES.keys()


@every_rule
def test_a_rule_holds_alone(name: str) -> None:
    judgement = make_scene(**WASTEFUL[name])
    assert found(judgement) == {name: "warning"}
    assert reasons(judgement) == {}


def test_a_run_that_uses_what_it_holds_wastes_nothing() -> None:
    assert found(make_scene()) == {}
    assert found(make_scene(gpus=2, utilization=[0.9, 0.95])) == {}


@pytest.mark.parametrize(
    ("idle", "severity"), [(3599.0, None), (3600.0, "warning"), (7199.0, "warning"), (7200.0, "critical")]
)
def test_gpu_unused_holds_from_its_time_on(idle: float, severity: str | None) -> None:
    assert found(make_scene(gpus=2, utilization=[0.0, 0.0], mean=0.5, idle=idle)).get("gpu_unused") == severity


def test_gpus_that_have_never_been_busy_are_given_an_hour() -> None:
    """Their utilisation of 0 is not called low in the meantime: that would be worse than the warning after it."""
    assert found(make_scene(gpus=1, utilization=[0.0], elapsed=3599.0, idle=3599.0)) == {}
    assert found(make_scene(gpus=1, utilization=[0.0], elapsed=3600.0, idle=3600.0)) == {"gpu_unused": "warning"}
    assert found(make_scene(gpus=1, utilization=[0.0], mean=0.01)) == {"gpu_low_utilization": "critical"}


@pytest.mark.parametrize(
    ("gpus", "seconds", "severity"),
    [(2, 3599.0, None), (2, 3600.0, "warning"), (2, 7200.0, "critical"), (1, 7200.0, None)],
)
def test_gpu_partly_unused_holds_from_its_time_on_for_several_gpus(
    gpus: int, seconds: float, severity: str | None
) -> None:
    judgement = make_scene(gpus=gpus, utilization=[0.9, 0.0][:gpus], mean=0.5, partly_idle=seconds)
    assert found(judgement).get("gpu_partly_unused") == severity


@pytest.mark.parametrize(
    ("name", "key", "value", "severity"),
    [
        ("gpu_low_utilization", "mean", 0.25, None),
        ("gpu_low_utilization", "mean", 0.249, "warning"),
        ("gpu_low_utilization", "mean", 0.15, "warning"),
        ("gpu_low_utilization", "mean", 0.149, "critical"),
        ("cpu_low", "cpu", 0.75, None),
        ("cpu_low", "cpu", 0.749, "warning"),
        ("cpu_low", "cpu", 0.5, "warning"),
        ("cpu_low", "cpu", 0.499, "critical"),
        ("memory_overrequested", "peak", 0.5, None),
        ("memory_overrequested", "peak", 0.499, "warning"),
        ("memory_overrequested", "peak", 0.1, "warning"),
        ("memory_overrequested", "peak", 0.099, "critical"),
    ],
)
def test_a_ratio_wastes_below_its_threshold_only(name: str, key: str, value: float, severity: str | None) -> None:
    assert found(make_scene(**{**WASTEFUL[name], key: value})).get(name) == severity


@pytest.mark.parametrize(
    ("cpus", "used", "severity"),
    [
        (1, 0.5, None), (2, 1.05, None), (2, 1.04, "warning"), (2, 0.5, "warning"), (3, 0.5, "warning"),
        (4, 1.0, "warning"), (4, 0.99, "critical"), (8, 1.06, None),
    ],
)  # fmt: skip
def test_cpu_serial_is_about_one_busy_cpu_of_several(cpus: int, used: float, severity: str | None) -> None:
    assert found(make_scene(cpus=cpus, cpu=used / cpus)).get("cpu_serial") == severity


def test_one_thing_is_said_once() -> None:
    """A serial run has a low use of its CPUs, and unused GPUs have a low utilisation: the better word wins."""
    assert found(make_scene(cpu=0.1)) == {"cpu_serial": "critical"}
    unused = make_scene(gpus=4, utilization=[0.0] * 4, idle=3 * HOURS, partly_idle=3 * HOURS)
    assert found(unused) == {"gpu_unused": "critical"}
    one_of_four = make_scene(gpus=4, utilization=[0.9, 0.0, 0.0, 0.0], partly_idle=3 * HOURS)
    assert found(one_of_four) == {"gpu_partly_unused": "critical"}


@every_rule
def test_a_rule_does_not_judge_before_its_minimum_runtime(name: str) -> None:
    young = make_scene(**{**WASTEFUL[name], "elapsed": 1799.0})
    assert found(young) == {}
    assert reasons(young) == {"": "it runs for 29 min, judged from 30 min"}
    assert name in found(make_scene(**{**WASTEFUL[name], "elapsed": 1800.0}))


@pytest.mark.parametrize("name", [name for name in WASTEFUL if name.startswith("gpu_")])
def test_a_gpu_rule_does_not_judge_below_its_coverage(name: str) -> None:
    little = make_scene(**WASTEFUL[name], observed=0.79)
    assert found(little) == {}
    assert reasons(little)[name].endswith("only 79 % of the GPU time was observed")
    assert name in found(make_scene(**WASTEFUL[name], observed=0.8))


LATE = {"ledger_since_timestamp_seconds": NOW - HOURS, "ledger_gpu_seconds": HOURS, "ledger_gpu_used_seconds": 0.0}


def test_a_mean_since_the_start_needs_a_ledger_since_the_start() -> None:
    """The ledger has seen the last of four hours, all of it: the GPU may have been busy before."""
    judgement = make_scene(gpus=1, utilization=[0.0], idle=3599.0, **LATE)
    assert found(judgement) == {}
    assert reasons(judgement) == {"gpu_low_utilization": "only 25 % of the GPU time was observed"}


def test_idle_time_needs_no_ledger_since_the_start() -> None:
    """The same ledger knows that the GPU has been idle for an hour."""
    assert found(make_scene(gpus=1, utilization=[0.0], idle=HOURS, **LATE)) == {"gpu_unused": "warning"}


def test_time_in_the_dark_since_a_gpu_was_busy_is_no_idle_time() -> None:
    dark = make_scene(gpus=1, utilization=[0.0], mean=0.5, idle=HOURS, gpu_unseen_seconds=HOURS)
    assert found(dark) == {}
    assert reasons(dark)["gpu_unused"] == "only 50 % of the time since a GPU was busy was observed"
    seen = make_scene(gpus=1, utilization=[0.0], mean=0.5, idle=HOURS, gpu_unseen_seconds=HOURS / 4)
    assert found(seen) == {"gpu_unused": "warning"}


def test_time_in_the_dark_since_all_gpus_were_busy_is_that_of_the_partly_unused() -> None:
    one_of_four = {"gpus": 4, "utilization": [0.9, 0.0, 0.0, 0.0], "partly_idle": HOURS}
    dark = make_scene(**one_of_four, gpu_partly_unseen_seconds=HOURS)
    assert reasons(dark)["gpu_partly_unused"] == "only 50 % of the time since a GPU was busy was observed"


def test_idle_time_of_which_a_share_is_not_known_is_not_judged() -> None:
    assert found(make_scene(**WASTEFUL["gpu_unused"], gpu_unseen_seconds=None)) == {}
    assert found(make_scene(**WASTEFUL["gpu_unused"], ledger_since_timestamp_seconds=None)) == {}


def test_the_least_share_is_named_and_of_equal_ones_the_first() -> None:
    equal = make_scene(gpus=1, utilization=[0.0], idle=HOURS, observed=0.5, gpu_coverage_ratio=0.5)
    assert reasons(equal)["gpu_unused"] == "only 50 % of the GPU time was observed"
    least = make_scene(gpus=1, up=False, idle=0.0, gpu_unseen_seconds=HOURS)
    assert reasons(least)["gpu_unused"] == "only 0 % of the time since a GPU was busy was observed"


@pytest.mark.parametrize(("name", "column"), [("cpu_low", "cpu_seconds"), ("cpu_serial", "cpu_seconds"),
                                               ("memory_overrequested", "memory_peak_bytes")])  # fmt: skip
def test_a_cpu_or_memory_rule_needs_every_node(name: str, column: str) -> None:
    judgement = make_scene(**WASTEFUL[name], nodes=["node01", "node02"], **{column: None})
    assert found(judgement) == {}
    assert reasons(judgement)[name] == f"not all of its nodes have samples of {column}"


@every_rule
def test_nobody_is_accused_while_the_exporter_is_down(name: str) -> None:
    judgement = make_scene(**WASTEFUL[name], up=False)
    assert found(judgement) == {}
    assert reasons(judgement)[name].endswith("the exporter of node01 is down")


def test_low_utilization_is_not_told_from_idle_while_the_exporter_is_down() -> None:
    """It may be that the GPUs are unused by now: whether, nobody sees."""
    judgement = make_scene(**WASTEFUL["gpu_low_utilization"], up=False)
    assert reasons(judgement)["gpu_low_utilization"] == "gpu_unused is not judged: the exporter of node01 is down"


def test_gpus_without_any_series_are_unused_where_the_exporter_is_healthy() -> None:
    """No process has ever opened them: no exporter shows them, and they are wasted all the same."""
    assert found(make_scene(gpus=2, utilization=(), idle=2 * HOURS)) == {"gpu_unused": "critical"}


def test_a_cluster_whose_exporters_show_no_gpu_at_all_has_no_unused_gpus() -> None:
    """They were started without NVML and DCGM, or the GPUs are of another vendor."""
    blind = replace(HEALTHY, gpu_nodes=frozenset())
    judgement = make_scene(gpus=2, utilization=(), idle=2 * HOURS, observation=blind)
    assert found(judgement) == {}
    assert reasons(judgement)["gpu_unused"] == "no exporter of the cluster shows any GPU"


def test_a_node_that_has_never_shown_a_gpu_does_not_vouch_beside_others_that_have() -> None:
    """Its exporter runs without NVML and DCGM, or its GPUs are of another vendor."""
    beside = replace(HEALTHY, gpu_nodes=frozenset({"node02"}))
    judgement = make_scene(gpus=2, utilization=(), idle=2 * HOURS, observation=beside, gpu_coverage_ratio=0.0)
    assert found(judgement) == {}
    assert reasons(judgement)["gpu_unused"] == "the exporter of node01 has not shown any GPU lately"


def test_a_gpu_that_is_busy_now_is_not_unused() -> None:
    """The snapshot is newer than the ledger's last window."""
    assert found(make_scene(gpus=2, utilization=[0.01, 0.0], mean=0.5, idle=9 * HOURS)) == {}
    assert found(make_scene(gpus=2, utilization=[0.01, 0.01], mean=0.5, partly_idle=9 * HOURS)) == {}


def test_idle_time_is_judged_by_what_is_seen_now_too() -> None:
    """One of two nodes has lost its exporter: its GPU may be busy since."""
    judgement = make_scene(
        gpus=2, utilization=[0.0], idle=2 * HOURS, nodes=["node01", "node09"], rules=SHIPPED[:1], gpu_coverage_ratio=0.5
    )
    assert found(judgement) == {}
    assert reasons(judgement) == {"gpu_unused": "the exporter of node09 is down"}


@pytest.mark.parametrize("memory", [35.2 * GIB, 10 * GIB])
def test_memory_within_the_fair_share_is_not_waste(memory: float) -> None:
    """8 CPUs × 4 GiB × 1.1: nobody else could have used it."""
    assert found(make_scene(memory=memory, peak=0.01)) == {}
    assert found(make_scene(memory=memory + 36 * GIB, peak=0.01)) == {"memory_overrequested": "critical"}


def test_memory_of_a_gpu_run_is_measured_by_its_gpus() -> None:
    busy = {"gpus": 1, "utilization": [0.9], "peak": 0.01}
    assert found(make_scene(**busy, memory=140 * GIB)) == {}
    assert found(make_scene(**busy, memory=142 * GIB)) == {"memory_overrequested": "critical"}


def test_cpus_of_a_gpu_run_within_its_share_are_not_waste() -> None:
    """12 CPUs per GPU × 1.1 = 13.2: only a whole CPU above them counts."""
    one, two = {"gpus": 1, "utilization": [0.9], "memory": GIB}, {"gpus": 2, "utilization": [0.9, 0.9], "memory": GIB}
    assert found(make_scene(**one, cpus=14, cpu=0.01)) == {}
    assert found(make_scene(**one, cpus=15, cpu=0.01)) == {"cpu_serial": "critical"}
    assert found(make_scene(**two, cpus=24, cpu=0.3)) == {}
    assert found(make_scene(**one, cpus=24, cpu=0.3)) == {"cpu_low": "critical"}


UNSEEN = dict.fromkeys(("cpu_seconds", "memory_peak_bytes", "observed_seconds", "gpu_coverage_ratio"))


@pytest.mark.parametrize("gpus", [0, 2])
def test_without_prometheus_nothing_is_found_and_the_reason_is_given(gpus: int) -> None:
    scene = {"cpus": 64, "memory": 900 * GIB, "gpus": gpus, "in_ledger": False, **UNSEEN}
    failed = replace(HEALTHY, failed=frozenset({"cpu_seconds", "memory_peak_bytes", "gpu_utilization"}))
    judgement = make_scene(**scene, observation=failed)
    assert found(judgement) == {}
    assert {"cpu_serial", "cpu_low", "memory_overrequested"} <= reasons(judgement).keys()
    assert reasons(judgement)["memory_overrequested"] == "the input memory_peak_bytes could not be read"
    unread = make_scene(**scene, observation=replace(HEALTHY, reachable=False))
    assert reasons(unread)["memory_overrequested"] == "Prometheus could not be read"


def test_a_run_that_the_ledger_has_not_seen_is_not_judged_for_its_gpus() -> None:
    judgement = make_scene(gpus=2, utilization=[0.0, 0.0], memory=GIB, in_ledger=False)
    assert found(judgement) == {}
    gpu_rules = ("gpu_unused", "gpu_partly_unused", "gpu_low_utilization")
    assert reasons(judgement) == dict.fromkeys(gpu_rules, "nothing has been added up of its GPUs yet")


def test_a_ledger_without_any_gpu_time_knows_no_utilization() -> None:
    judgement = make_scene(gpus=1, utilization=[0.0], memory=GIB, idle=3 * HOURS, ledger_gpu_seconds=0.0)
    assert found(judgement) == {}
    assert reasons(judgement) == {
        "gpu_unused": "only 0 % of the GPU time was observed",
        "gpu_low_utilization": "nothing has been added up of its GPUs yet",
    }


def test_a_suspension_is_not_idleness() -> None:
    judgement = make_scene(gpus=1, utilization=[0.0], idle=3 * HOURS, suspended_seconds=1.0, memory=GIB)
    assert found(judgement) == {}
    assert reasons(judgement)["gpu_unused"] == "it has been suspended, which looks like idle GPUs"


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"state": "pending", "start_timestamp_seconds": None, "elapsed_seconds": None}, "it has not started"),
        ({"state": "running", "start_timestamp_seconds": None, "elapsed_seconds": None}, "it has not started"),
        ({"state": "completed", "end_timestamp_seconds": NOW - 5}, "it has ended"),
        ({"state": "running", "end_timestamp_seconds": NOW - 5}, "it has ended"),
        ({"state": "suspended"}, "it is suspended"),
        ({"state": "resizing"}, "it is resizing"),
    ],
)
@every_rule
def test_only_running_runs_are_judged(name: str, changes: dict[str, Any], because: str) -> None:
    judgement = make_scene(**WASTEFUL[name], **changes)
    assert found(judgement) == {}
    assert reasons(judgement) == {"": because}


@every_rule
def test_the_exempt_are_not_judged(name: str) -> None:
    exemption, because = Exemption(users=frozenset({"alice"}), job_names=("tr*",)), 'user alice, job name "train.sh"'
    everywhere = make_scene(**WASTEFUL[name], exemptions=[exemption])
    assert (found(everywhere), reasons(everywhere)) == ({}, {"": f"exempted: {because}"})
    of_rule = make_scene(**WASTEFUL[name], rules=[replace(RULES[name], exemptions=(exemption,))])
    named = make_scene(**WASTEFUL[name], rules=[RULES[name]], exemptions=[replace(exemption, rules=frozenset({name}))])
    for judgement in (of_rule, named):
        assert (found(judgement), reasons(judgement)) == ({}, {name: f"exempted: {because}"})


@every_rule
def test_others_are_judged(name: str) -> None:
    other = Exemption(users=frozenset({"bob"}))
    of_other_rule = Exemption(users=frozenset({"alice"}), rules=frozenset({"other"}))
    changed = [
        rule if rule.name == name else replace(rule, exemptions=(Exemption(qos=frozenset({"x"})),)) for rule in SHIPPED
    ]
    judgement = make_scene(**WASTEFUL[name], rules=changed, exemptions=[other, of_other_rule])
    assert found(judgement) == {name: "warning"}


def test_old_samples_are_compared_with_the_time_that_they_are_of() -> None:
    """Prometheus has been silent for four minutes: a run that was busy until then is not accused of them."""
    seen = 1800.0 - 240
    assert found(make_scene(elapsed=1800.0, cpu_seconds=0.76 * 8 * seen, observed_seconds=seen)) == {}


def test_of_a_run_of_which_little_was_seen_nothing_is_said() -> None:
    little = make_scene(cpu=0.1, peak=0.01, memory=500 * GIB, observed_seconds=1.9 * HOURS)
    assert found(little) == {}
    assert set(reasons(little).values()) == {"too little of its time was seen"}


def test_who_uses_far_more_than_is_held_is_not_kept_to_it() -> None:
    """Slurm does not manage CPUs there: a ratio says nothing."""
    judgement = make_scene(cpu=10.1)
    assert reasons(judgement) == dict.fromkeys(
        ("cpu_serial", "cpu_low"), "it uses far more than it holds, so that Slurm cannot be managing that"
    )
    assert reasons(make_scene(cpu=10.0)) == {}


def test_where_slurm_does_not_manage_memory_nothing_is_said_of_it() -> None:
    judgement = make_scene(granted_memory_bytes=None)
    assert reasons(judgement) == {"memory_overrequested": "Slurm does not manage memory where it runs"}


def test_a_finding_shows_the_condition_that_decides_it() -> None:
    (finding,) = make_scene(cpu=0.6).findings
    assert (finding.condition.field, finding.condition.operator, finding.condition.threshold) == (
        "cpu_used_ratio", "<", 0.75,
    )  # fmt: skip
    assert (finding.value, finding.coverage) == (pytest.approx(0.6), 1.0)
