"""Every family of every table, over views in which everything is known, and over views of nothing."""

import gzip
import math
from collections.abc import Mapping
from functools import cache

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aggregator.app.layouts import CLOUDS, CLUSTERS, FILESYSTEMS
from aggregator.engine.column import Listing
from aggregator.engine.exposition import Member
from aggregator.engine.frame import Frames
from aggregator.engine.part import Layout
from aggregator.model.accounting import JobState
from aggregator.model.waste import Condition, Level
from tests.builders import NOW, make_allocation, make_gpu, make_rule, make_run, make_use
from tests.clouds import rich_cloud
from tests.clusters import join_cluster, make_energy, rich_frames
from tests.spaces import rich_filesystem

RICH: tuple[tuple[Layout, Frames], ...] = (
    (CLUSTERS, rich_frames()), (FILESYSTEMS, rich_filesystem().frames), (CLOUDS, rich_cloud().frames),
)  # fmt: skip
every_family = pytest.mark.parametrize(
    ("listing", "layout", "frames"),
    [pytest.param(listing, layout, frames, id=listing.name) for layout, frames in RICH for listing in layout.listings],
)
Samples = list[tuple[dict[str, str], float]]


def samples_of(member: Member) -> Samples:
    """Give labels and value of each sample, with its name as Prometheus has it."""
    lines = gzip.decompress(b"".join(member.pieces)).decode()
    samples = [sample for family in text_string_to_metric_families(lines) for sample in family.samples]
    return [({"__name__": each.name, **each.labels}, each.value) for each in samples]


@cache
def rendered(kind: str) -> Mapping[str, Member]:
    """Give the families of the rich frames of a kind: written once for all tests, for they are only read."""
    layout, frames = next(found for found in RICH if found[0].kind == kind)
    return layout.render("it", frames)


def of_cluster(name: str, frames: Frames) -> Samples:
    members = CLUSTERS.render("narval", frames)
    return samples_of(members[name]) if name in members else []


@every_family
def test_every_family_has_samples_when_everything_is_known(listing: Listing, layout: Layout, frames: Frames) -> None:
    member = rendered(layout.kind)[listing.name]
    found = samples_of(member)
    assert len(found) == member.series > 0
    assert len({tuple(sorted(labels.items())) for labels, _ in found}) == len(found)
    assert not any(math.isnan(value) for _, value in found)
    assert {labels[layout.kind] for labels, _ in found} == {"it"}
    assert listing.labels[0] == layout.kind


@every_family
def test_every_family_says_what_it_costs_and_where_it_comes_from(
    listing: Listing, layout: Layout, frames: Frames
) -> None:
    assert listing.cost
    assert listing.source
    assert listing.stability in ("STABLE", "EXPERIMENTAL")


def test_a_finding_is_a_sample_and_no_finding_is_none() -> None:
    level = Level("warning", (Condition("cpus_allocated", ">=", 8.0),))
    runs = [make_run(), make_run(run_id=2, job_id=2, allocated=make_allocation(cpus=1))]
    frames = join_cluster(runs, make_use(), rules=[make_rule(name="many", levels=(level,))])
    ((labels, value),) = of_cluster("hpc_job_waste", frames)
    assert (labels["slurmjobid"], labels["reason"], labels["severity"], value) == ("4711", "many", "warning", 1.0)


def test_the_words_of_a_rule_are_there_without_a_finding_and_no_label_is_long() -> None:
    """A Prometheus may refuse a whole page for one label of more than 200 bytes."""
    texts = {"message": 'It "leaves"\n<b>CPUs</b> idle.', "fix": "é" * 150}
    ((labels, value),) = of_cluster("hpc_waste_rule_info", join_cluster([], rules=[make_rule(name="many", **texts)]))
    assert (labels["reason"], labels["resource"], labels["message"], value) == ("many", "cpu", texts["message"], 1.0)
    assert labels["fix"] == "é" * 100
    assert not labels.get("documentation")


def test_a_component_of_a_job_has_its_number_as_sacct_writes_it() -> None:
    """7+1."""
    runs = [make_run(), make_run(run_id=2, job_id=8, het_job_id=7, het_offset=1)]
    found = {labels["slurmjobid"]: labels for labels, _ in of_cluster("hpc_job_info", join_cluster(runs))}
    assert (found["8"]["het_job_id"], found["8"]["het_job_offset"]) == ("7", "1")
    assert not found["4711"].get("het_job_offset")


def test_idle_time_is_known_once_the_ledger_has_seen_a_gpu() -> None:
    runs = [make_run(run_id=number, job_id=number) for number in range(4)]
    energy = make_energy(
        {"run_id": 1, "ledger_gpu_seconds": 0.0}, {"run_id": 2, "gpu_idle_seconds": 0.0},
        {"run_id": 3, "gpu_idle_seconds": 90.0},
    )  # fmt: skip
    found = of_cluster("hpc_job_gpu_idle_seconds", join_cluster(runs, None, energy))
    assert sorted((labels["slurmjobid"], value) for labels, value in found) == [("2", 0.0), ("3", 90.0)]


@pytest.mark.parametrize(
    "name",
    ["hpc_job_start_timestamp_seconds", "hpc_job_allocated_cpus", "hpc_job_allocated_memory_bytes",
     "hpc_job_eligible_timestamp_seconds", "hpc_job_end_timestamp_seconds", "hpc_job_time_limit_seconds",
     "hpc_job_used_cpus", "hpc_job_coverage_ratio", "hpc_job_gpus_observed"],
)  # fmt: skip
def test_what_a_pending_job_has_not_is_no_sample(name: str) -> None:
    pending = make_run(state=JobState.PENDING, start=None, eligible=None, time_limit_seconds=None)
    assert of_cluster(name, join_cluster([pending], make_use())) == []


def test_series_are_of_the_runs_that_own_their_id() -> None:
    frames = join_cluster([make_run(run_id=1, end=NOW - 9, state=JobState.REQUEUED), make_run(run_id=2)])
    ((labels, _),) = of_cluster("hpc_job_info", frames)
    assert labels["state"] == "running"


def test_facts_that_a_job_has_not_are_no_labels() -> None:
    ((labels, value),) = of_cluster("hpc_job_info", join_cluster([make_run()]))
    assert value == 1.0
    assert labels == {
        "__name__": "hpc_job_info",
        "cluster": "narval", "slurmjobid": "4711", "user": "alice", "account": "def-kim", "partition": "cpu",
        "qos": "normal", "state": "running", "job_name": "train.sh",
    }  # fmt: skip


def test_task_zero_is_a_label() -> None:
    ((labels, _),) = of_cluster("hpc_job_info", join_cluster([make_run(array_job_id=12, array_task_id=0)]))
    assert (labels["array_job_id"], labels["array_task_id"]) == ("12", "0")


@pytest.mark.parametrize("name", ["hpc_job_gpus_observed", "hpc_job_gpus_busy", "hpc_job_gpu_utilization_ratio"])
def test_zero_is_a_sample_and_not_known_is_none(name: str) -> None:
    runs = [make_run(allocated=make_allocation(gpus={"a100": 1}))]
    idle = make_use(gpus={4711: (make_gpu(utilization=0.0),)})
    unseen = make_use(gpus={}, gpu_nodes=frozenset())
    found = [value for _, value in of_cluster(name, join_cluster(runs, idle))]
    assert found == [1.0 if name.endswith("observed") else 0.0]
    assert of_cluster(name, join_cluster(runs, unseen)) == []
