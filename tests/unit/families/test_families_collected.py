"""Every family that is declared, collected over views in which everything is known, and over views of nothing."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from aggregator.exposition.render import Renderer
from aggregator.families import ALL, BY_NAME
from aggregator.families.spec import Family, View
from aggregator.model.accounting import JobState
from aggregator.model.view import ClusterView, GpuUse, JobUse
from aggregator.model.waste import Judgement
from tests.builders import (
    NOW,
    make_allocation,
    make_finding,
    make_job,
    make_ledger,
    rich_cluster,
)

VIEWS: tuple[View, ...] = (rich_cluster(),)
EMPTY: tuple[View, ...] = (ClusterView("narval", NOW),)
every_family = pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)


def collect(family: Family[Any], view: View) -> Iterator[tuple[dict[str, str], Any]]:
    """Give each sample's labels and value (a histogram is its own value)."""
    for entity in family.entity.of(view):
        base = family.entity.label_values(view, entity)
        assert len(base) == len(family.entity.labels)
        if family.value is not None:
            value = family.value(entity)
            if value is not None:
                yield dict(zip(family.all_labels, base, strict=True)), value
        elif family.histogram is not None:
            histogram = family.histogram(entity)
            if histogram is not None:
                yield dict(zip(family.all_labels, base, strict=True)), histogram
        else:
            for extra, value in family.extra_samples(entity):
                yield dict(zip(family.all_labels, (*base, *extra), strict=True)), value


def samples_of(name: str, view: View) -> list[tuple[dict[str, str], Any]]:
    return list(collect(BY_NAME[name], view))


@every_family
def test_every_family_has_samples_when_everything_is_known(family: Family[Any]) -> None:
    assert any(True for view in VIEWS for _ in collect(family, view))


@every_family
def test_no_family_has_a_duplicate_a_nan_or_a_label_that_is_no_text(family: Family[Any]) -> None:
    for view in VIEWS:
        seen = set()
        for labels, value in collect(family, view):
            key = tuple(sorted(labels.items()))
            assert key not in seen
            seen.add(key)
            assert all(isinstance(text, str) for text in labels.values())
            numbers = [value] if family.histogram is None else [value.total, *(count for _, count in value.buckets)]
            assert not any(math.isnan(number) for number in numbers)


@every_family
def test_every_family_carries_its_cluster_file_system_or_cloud(family: Family[Any]) -> None:
    scope = {"storage": "filesystem", "cloud": "cloud"}.get(family.entity.group, "cluster")
    assert family.all_labels[0] == scope
    assert len(set(family.all_labels)) == len(family.all_labels)
    for view in VIEWS:
        assert {labels[scope] for labels, _ in collect(family, view)} <= {"narval", "project", "arbutus"}


@every_family
def test_every_family_says_what_it_costs_and_where_it_comes_from(family: Family[Any]) -> None:
    assert family.cost
    assert family.source
    assert family.stability in ("STABLE", "EXPERIMENTAL")


@every_family
def test_a_view_of_nothing_gives_nothing_but_the_file_system_itself(family: Family[Any]) -> None:
    found = [sample for view in EMPTY for sample in collect(family, view)]
    if family.name == "hpc_storage_scan_running":
        assert found == [({"filesystem": "project"}, 0.0)]
    else:
        assert found == []


def test_a_finding_is_a_sample_and_no_finding_is_none() -> None:
    found = replace(make_job(), waste=Judgement((make_finding(name="cpu_low"),)))
    view = ClusterView("narval", NOW, series=(found, make_job(job_id=2)))
    ((labels, value),) = samples_of("hpc_job_waste", view)
    assert (labels["slurmjobid"], labels["reason"], labels["severity"], value) == ("4711", "cpu_low", "warning", 1.0)


def test_idle_time_is_known_once_the_ledger_has_seen_a_gpu() -> None:
    jobs = [replace(make_job(job_id=number), ledger=ledger) for number, ledger in enumerate(
        (None, make_ledger(gpu_seconds=0.0), make_ledger(gpu_idle_seconds=0.0), make_ledger(gpu_idle_seconds=90.0))
    )]  # fmt: skip
    view = ClusterView("narval", NOW, series=tuple(jobs))
    assert [(labels["slurmjobid"], value) for labels, value in samples_of("hpc_job_gpu_idle_seconds", view)] == [
        ("2", 0.0), ("3", 90.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["hpc_job_start_timestamp_seconds", "hpc_job_allocated_cpus", "hpc_job_allocated_memory_bytes",
     "hpc_job_eligible_timestamp_seconds", "hpc_job_end_timestamp_seconds", "hpc_job_time_limit_seconds",
     "hpc_job_used_cpus", "hpc_job_coverage_ratio", "hpc_job_gpus_observed"],
)  # fmt: skip
def test_what_a_pending_job_has_not_is_no_sample(name: str) -> None:
    pending = make_job(
        state=JobState.PENDING, start=None, eligible=None, time_limit_seconds=None, allocated=make_allocation()
    )  # fmt: skip
    assert samples_of(name, ClusterView("narval", NOW, jobs=(pending,), series=(pending,))) == []


def test_series_are_of_the_runs_that_own_their_id() -> None:
    view = ClusterView("narval", NOW, jobs=(make_job(run_id=1), make_job(run_id=2)), series=(make_job(run_id=2),))
    assert len(samples_of("hpc_job_info", view)) == 1


def test_facts_that_a_job_has_not_are_empty_labels() -> None:
    view = ClusterView("narval", NOW, series=(make_job(),))
    ((labels, value),) = samples_of("hpc_job_info", view)
    assert value == 1.0
    assert labels == {
        "cluster": "narval", "slurmjobid": "4711", "user": "alice", "account": "def-kim", "partition": "cpu",
        "qos": "normal", "state": "running", "job_name": "train.sh", "array_job_id": "", "array_task_id": "",
        "het_job_id": "", "gpu_type": "",
    }  # fmt: skip


def test_task_zero_is_a_label() -> None:
    view = ClusterView("narval", NOW, series=(make_job(array_job_id=12, array_task_id=0),))
    ((labels, _),) = samples_of("hpc_job_info", view)
    assert (labels["array_job_id"], labels["array_task_id"]) == ("12", "0")


def test_zero_is_a_sample_and_not_known_is_none() -> None:
    known = make_job(use=JobUse(cpus=0.0, gpu=GpuUse(coverage=1.0, observed=0, busy=0, judged=1.0, utilization=0.0)))
    unknown = make_job(use=JobUse(gpu=GpuUse(coverage=0.0)))
    names = ("hpc_job_gpus_observed", "hpc_job_gpus_busy", "hpc_job_gpu_utilization_ratio")
    assert [samples_of(name, ClusterView("n", NOW, series=(known,)))[0][1] for name in names] == [0, 0, 0.0]
    assert [samples_of(name, ClusterView("n", NOW, series=(unknown,))) for name in names] == [[], [], []]


def test_the_page_counts_the_series_that_it_has() -> None:
    for view in VIEWS:
        for name, member in Renderer().render(view).items():
            found = samples_of(name, view)
            expected = sum(len(value.buckets) + 2 for _, value in found) if BY_NAME[name].histogram else len(found)
            assert member.series == expected, name
