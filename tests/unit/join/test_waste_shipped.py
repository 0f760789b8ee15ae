"""The shipped rules of waste: when each holds, and above all when it does not."""

from dataclasses import replace
from typing import Any

import pytest

from aggregator.model.accounting import JobState
from aggregator.model.waste import Exemption
from tests.builders import GIB, HOSTILE_NAMES, NOW, make_use

from .waste_scene import HOURS, SHIPPED, found, make_scene, reasons

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
    job = make_scene(**WASTEFUL[name])
    assert found(job) == {name: "warning"}
    assert reasons(job) == {}


def test_a_run_that_uses_what_it_holds_wastes_nothing() -> None:
    assert found(make_scene()) == {}
    assert found(make_scene(gpus=2, utilization=[0.9, 0.95])) == {}


@pytest.mark.parametrize(
    ("scene", "severity"),
    [
        ({"gpus": 2, "idle": 3599.0}, None),
        ({"gpus": 2, "idle": 3600.0}, "warning"),
        ({"gpus": 2, "idle": 7199.0}, "warning"),
        ({"gpus": 2, "idle": 7200.0}, "critical"),
    ],
)
def test_gpu_unused_holds_from_its_time_on(scene: dict[str, Any], severity: str | None) -> None:
    assert found(make_scene(utilization=[0.0, 0.0], mean=0.5, **scene)).get("gpu_unused") == severity


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
    job = make_scene(gpus=gpus, utilization=[0.9, 0.0][:gpus], mean=0.5, partly_idle=seconds)
    assert found(job).get("gpu_partly_unused") == severity


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


def test_a_mean_since_the_start_needs_a_ledger_since_the_start() -> None:
    """The ledger has seen the last of four hours, all of it: the GPU may have been busy before."""
    late = {"since": NOW - HOURS, "gpu_seconds": HOURS, "gpu_used_seconds": 0.0}
    job = make_scene(gpus=1, utilization=[0.0], idle=3599.0, ledger_changes=late)
    assert found(job) == {}
    assert reasons(job) == {"gpu_low_utilization": "only 25 % of the GPU time was observed"}


def test_idle_time_needs_no_ledger_since_the_start() -> None:
    """The same ledger knows that the GPU has been idle for an hour."""
    late = {"since": NOW - HOURS, "gpu_seconds": HOURS, "gpu_used_seconds": 0.0}
    job = make_scene(gpus=1, utilization=[0.0], idle=HOURS, ledger_changes=late)
    assert found(job) == {"gpu_unused": "warning"}


@pytest.mark.parametrize("name", [name for name in WASTEFUL if not name.startswith("gpu_")])
def test_a_cpu_or_memory_rule_needs_every_node(name: str) -> None:
    job = make_scene(**WASTEFUL[name], nodes=("node01", "node02"))
    assert found(job) == {}
    assert reasons(job)[name].startswith("not all of its nodes have samples of ")


@every_rule
def test_nobody_is_accused_while_the_exporter_is_down(name: str) -> None:
    job = make_scene(**WASTEFUL[name], up=False)
    assert found(job) == {}
    assert reasons(job)[name].endswith("the exporter of node01 is down")


def test_low_utilization_is_not_told_from_idle_while_the_exporter_is_down() -> None:
    """It may be that the GPUs are unused by now: whether, nobody sees."""
    job = make_scene(**WASTEFUL["gpu_low_utilization"], up=False)
    assert reasons(job)["gpu_low_utilization"] == "gpu_unused is not judged: the exporter of node01 is down"


def test_gpus_without_any_series_are_unused_where_the_exporter_is_healthy() -> None:
    """No process has ever opened them: no exporter shows them, and they are wasted all the same."""
    job = make_scene(gpus=2, utilization=(), idle=2 * HOURS)
    assert job.use.gpu is not None
    assert (job.use.gpu.observed, job.use.gpu.judged) == (0, 2.0)
    assert found(job) == {"gpu_unused": "critical"}


def test_a_cluster_whose_exporters_show_no_gpu_at_all_has_no_unused_gpus() -> None:
    """They were started without NVML and DCGM, or the GPUs are of another vendor."""
    job = make_scene(gpus=2, utilization=(), idle=2 * HOURS, use_changes={"gpus": {}, "gpu_nodes": frozenset()})
    assert found(job) == {}
    assert job.efficiency.wasted_gpus is None
    assert reasons(job)["gpu_unused"] == "no exporter of the cluster shows any GPU"


def test_that_exporters_can_show_gpus_does_not_depend_on_other_jobs() -> None:
    job = make_scene(gpus=2, utilization=(), idle=2 * HOURS, use_changes={"gpus": {}})
    assert found(job) == {"gpu_unused": "critical"}
    assert job.efficiency.wasted_gpus == 2.0


def test_a_node_that_has_never_shown_a_gpu_does_not_vouch_beside_others_that_have() -> None:
    """Its exporter runs without NVML and DCGM, or its GPUs are of another vendor."""
    job = make_scene(gpus=2, utilization=(), idle=2 * HOURS, use_changes={"gpu_nodes": frozenset({"node02"})})
    assert found(job) == {}
    assert job.efficiency.wasted_gpus is None
    assert reasons(job)["gpu_unused"] == "the exporter of node01 has not shown any GPU lately"


def test_a_gpu_that_is_busy_now_is_not_unused() -> None:
    """The snapshot is newer than the ledger's last window."""
    assert found(make_scene(gpus=2, utilization=[0.01, 0.0], mean=0.5, idle=9 * HOURS)) == {}
    assert found(make_scene(gpus=2, utilization=[0.01, 0.01], mean=0.5, partly_idle=9 * HOURS)) == {}


@pytest.mark.parametrize("memory", [35.2 * GIB, 10 * GIB])
def test_memory_within_the_fair_share_is_not_waste(memory: float) -> None:
    """8 CPUs × 4 GiB × 1.1: nobody else could have used it."""
    assert found(make_scene(memory=memory, peak=0.01)) == {}
    assert found(make_scene(memory=memory + 36 * GIB, peak=0.01)) == {"memory_overrequested": "critical"}


def test_memory_of_a_gpu_run_is_measured_by_its_gpus() -> None:
    assert found(make_scene(gpus=1, utilization=[0.9], memory=140 * GIB, peak=0.01)) == {}
    assert found(make_scene(gpus=1, utilization=[0.9], memory=142 * GIB, peak=0.01)) == {
        "memory_overrequested": "critical"
    }


def test_cpus_of_a_gpu_run_within_its_share_are_not_waste() -> None:
    """12 CPUs per GPU × 1.1 = 13.2: only a whole CPU above them counts."""
    assert found(make_scene(gpus=1, utilization=[0.9], cpus=14, memory=GIB, cpu=0.01)) == {}
    assert found(make_scene(gpus=1, utilization=[0.9], cpus=15, memory=GIB, cpu=0.01)) == {"cpu_serial": "critical"}
    assert found(make_scene(gpus=2, utilization=[0.9, 0.9], cpus=24, memory=GIB, cpu=0.3)) == {}
    assert found(make_scene(gpus=1, utilization=[0.9], cpus=24, memory=GIB, cpu=0.3)) == {"cpu_low": "critical"}


@pytest.mark.parametrize("changes", [{}, {"gpus": 2}])
def test_without_prometheus_nothing_is_found_and_the_reason_is_given(changes: dict[str, Any]) -> None:
    nothing = dict.fromkeys(("cpu_seconds", "memory_peak_bytes", "gpus", "healthy_nodes"))
    failed = {"failed": dict.fromkeys(("cpu_seconds", "memory_peak_bytes", "gpu_utilization"), "timeout")}
    job = make_scene(cpu=0.0, peak=0.0, memory=500 * GIB, cpus=64, use_changes={**nothing, **failed}, **changes)
    assert found(job) == {}
    assert {"cpu_serial", "cpu_low", "memory_overrequested"} <= reasons(job).keys()
    assert reasons(job)["memory_overrequested"] == "the input memory_peak_bytes could not be read"


def test_a_run_that_the_ledger_has_not_seen_is_not_judged_for_its_gpus() -> None:
    job = make_scene(gpus=2, utilization=[0.0, 0.0], memory=GIB, in_ledger=False)
    assert found(job) == {}
    gpu_rules = ("gpu_unused", "gpu_partly_unused", "gpu_low_utilization")
    assert reasons(job) == dict.fromkeys(gpu_rules, "nothing has been added up of its GPUs yet")


def test_a_ledger_without_any_gpu_time_knows_no_utilization() -> None:
    job = make_scene(gpus=1, utilization=[0.0], memory=GIB, idle=3 * HOURS, ledger_changes={"gpu_seconds": 0.0})
    assert found(job) == {}
    assert reasons(job) == {
        "gpu_unused": "only 0 % of the GPU time was observed",
        "gpu_low_utilization": "nothing has been added up of its GPUs yet",
    }


def test_a_suspension_is_not_idleness() -> None:
    job = make_scene(gpus=1, utilization=[0.0], idle=3 * HOURS, mean=0.0, suspended_seconds=2 * HOURS, memory=GIB)
    assert found(job) == {}
    assert "suspended" in reasons(job)["gpu_unused"]


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"state": JobState.PENDING, "start": None}, "it has not started"),
        ({"state": JobState.COMPLETED, "end": NOW - 5}, "it has ended"),
        ({"state": JobState.SUSPENDED}, "it is suspended"),
        ({"state": JobState.RESIZING}, "it is resizing"),
    ],
)
@every_rule
def test_only_running_runs_are_judged(name: str, changes: dict[str, Any], because: str) -> None:
    job = make_scene(**WASTEFUL[name], **changes)
    assert found(job) == {}
    assert reasons(job) == {"": because}


@pytest.mark.parametrize(
    ("exemption", "because"),
    [
        (Exemption(partitions=frozenset({"debug", "cpu"})), "exempted: partition cpu"),
        (Exemption(qos=frozenset({"normal"})), "exempted: qos normal"),
        (Exemption(accounts=frozenset({"def-kim"})), "exempted: account def-kim"),
        (Exemption(users=frozenset({"alice"})), "exempted: user alice"),
        (Exemption(job_names=("bench-*", "train*")), 'exempted: job name "train.sh"'),
        (Exemption(users=frozenset({"alice"}), qos=frozenset({"normal"})), "exempted: qos normal, user alice"),
    ],
)
@every_rule
def test_the_exempt_are_not_judged(name: str, exemption: Exemption, because: str) -> None:
    everywhere = make_scene(**WASTEFUL[name], exemptions=[exemption])
    assert (found(everywhere), reasons(everywhere)) == ({}, {"": because})
    of_rule = replace(RULES[name], exemptions=(exemption,))
    assert (found(job := make_scene(**WASTEFUL[name], rules=[of_rule])), reasons(job)) == ({}, {name: because})
    named = make_scene(**WASTEFUL[name], rules=[RULES[name]], exemptions=[replace(exemption, rules=frozenset({name}))])
    assert (found(named), reasons(named)) == ({}, {name: because})


@pytest.mark.parametrize(
    "exemption",
    [
        Exemption(partitions=frozenset({"gpu"})),
        Exemption(users=frozenset({"alice"}), accounts=frozenset({"def-lee"})),
        Exemption(job_names=("train", "*.py", "TRAIN.SH")),
        Exemption(users=frozenset({"alice"}), rules=frozenset({"other"})),
    ],
)
@every_rule
def test_others_are_judged(name: str, exemption: Exemption) -> None:
    """Every part of an exemption must match, a pattern the whole name in its case, a rule its own name."""
    assert found(make_scene(**WASTEFUL[name], exemptions=[exemption])) == {name: "warning"}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_name_can_be_matched_by_a_pattern(name: str) -> None:
    for pattern in ("*", "?*" + name[-1].replace("[", "[[]")):
        job = make_scene(**WASTEFUL["cpu_low"], name=name, exemptions=[Exemption(job_names=(pattern,))])
        assert (found(job), reasons(job)) == ({}, {"": f'exempted: job name "{name}"'})
    escaped = name.replace("[", "[[]")
    assert found(make_scene(cpu=0.74, name=name + "\n", exemptions=[Exemption(job_names=(escaped,))])) == {
        "cpu_low": "warning"
    }


def test_old_samples_are_compared_with_the_time_that_they_are_of() -> None:
    """Prometheus has been silent for four minutes: a run that was busy until then is not accused of them."""
    old = make_use(time=NOW - 240, cpu_seconds={4711: {"node01": 0.76 * 8 * (1800 - 240)}})
    job = make_scene(elapsed=1800.0, use_changes={"time": old.time, "cpu_seconds": old.cpu_seconds})
    assert job.efficiency.cpu == pytest.approx(0.76)
    assert job.efficiency.wasted_cpu_seconds == pytest.approx(0.24 * 8 * 1560)
    assert found(job) == {}


def test_a_finding_shows_the_condition_that_decides_it() -> None:
    (finding,) = make_scene(cpu=0.6).waste.findings
    assert (finding.condition.field, finding.condition.operator, finding.condition.threshold) == (
        "cpu_used_ratio", "<", 0.75,
    )  # fmt: skip
    assert (finding.value, finding.coverage) == (pytest.approx(0.6), 1.0)
