"""Waste in the answers: what was found, how to mend it, and why something was not judged."""

from dataclasses import replace
from typing import Any

import pytest

from aggregator.model.accounting import JobState
from aggregator.model.tres import Allocation
from aggregator.model.waste import Condition, Level, Rule
from tests.builders import make_rule

from .builders import A_RUN, GIB, JOBS, Job, make_job, publish_jobs
from .conftest import Service

# Which of them holds for a run depends on its nodes and its GPUs.
LOW = make_rule(name="cpu_low", levels=(Level("warning", (Condition("nodes", ">=", 2.0),)),))
UNUSED = make_rule(name="gpu_unused", levels=(Level("critical", (Condition("gpus_allocated", ">=", 1.0),)),))
RULES = (
    LOW,
    UNUSED,
    make_rule(name="cpu_serial", levels=(Level("warning", (Condition("cpus_allocated", "<", 1.0),)),)),
)


def judged(job_id: int, *rules: Rule, **changes: Any) -> Job:
    """Make a job for which these rules hold."""
    held = Allocation(4, 8 * GIB, nodes=2 if LOW in rules else 1, gpus={"a100": 1} if UNUSED in rules else {})
    return make_job(job_id, allocated=held, **changes)


async def ids(service: Service, query: str) -> list[int]:
    return [job["job_id"] for job in (await service.data(f"{JOBS}{query}"))["jobs"]]


async def test_a_run_shows_its_findings_with_what_they_rest_on(service: Service) -> None:
    low = make_rule(name="cpu_low", fix="Ask for less.", documentation="docs/waste.md#cpu_low")
    unseen = Level("warning", (Condition("gpu_utilization_ratio", "<", 0.1),))
    publish_jobs(service.store, make_job(), rules=(low, make_rule(name="gpu_unused", resource="gpu", levels=(unseen,))))

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert run["waste"] == [
        {
            "reason": "cpu_low", "severity": "warning", "resource": "cpu", "message": "It holds a CPU.",
            "fix": "Ask for less.", "documentation": "docs/waste.md#cpu_low", "field": "cpus_allocated",
            "value": 4.0, "operator": ">=", "threshold": 1.0, "unit": "cpus", "coverage": 1.0,
        }
    ]  # fmt: skip
    assert run["not_judged"] == [{"rule": "gpu_unused", "because": "nothing has been added up of its GPUs yet"}]
    assert (run["wasted_cpus"], run["wasted_cpu_seconds"], run["wasted_memory_bytes"]) == (2.5, None, 0.0)


async def test_a_rule_without_advice_says_so(service: Service) -> None:
    publish_jobs(service.store, make_job(), rules=[make_rule(resource="memory")])

    (finding,) = (await service.data(f"{JOBS}/101"))["runs"][0]["waste"]

    assert (finding["fix"], finding["documentation"]) == (None, None)


async def test_a_reason_for_every_rule_names_none(service: Service) -> None:
    publish_jobs(service.store, make_job(state=JobState.PENDING, start=None), rules=RULES)

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert (run["waste"], run["not_judged"]) == ([], [{"rule": None, "because": "it has not started"}])


async def test_a_run_that_only_slurmacct_knows_is_not_judged(service: Service) -> None:
    publish_jobs(service.store)
    service.reader.runs = (replace(A_RUN, state=JobState.COMPLETED, end=A_RUN.submit + 4000),)

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert run["not_judged"] == [{"rule": None, "because": "it is not among the running jobs"}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?reason=cpu_low", [4, 2]),
        ("?reason=cpu_low,gpu_unused", [4, 3, 2]),
        ("?severity=critical", [4, 3]),
        ("?severity=Warning&severity=critical", [4, 3, 2]),
        ("?reason=cpu_serial", []),
        ("?reason=cpu_low&severity=critical&user=alice", []),
        ("?reason=gpu_unused&severity=critical", [4, 3]),
    ],
)
async def test_the_list_is_narrowed_to_findings(service: Service, query: str, expected: list[int]) -> None:
    """Reason and severity must be of one finding: job 4 has a mild one and a bad one."""
    jobs = judged(1), judged(2, LOW), judged(3, UNUSED), judged(4, LOW, UNUSED)
    publish_jobs(service.store, *jobs, rules=RULES)

    assert await ids(service, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?reason=cpu", 'reason: must be one of cpu_low, cpu_serial, gpu_unused, got "cpu"'),
        ("?severity=bad", 'severity: must be one of critical, warning, got "bad"'),
        ("?reason=", 'reason: must be one of cpu_low, cpu_serial, gpu_unused, got ""'),
    ],
)
async def test_a_mistyped_rule_is_named_with_those_that_there_are(service: Service, query: str, expected: str) -> None:
    publish_jobs(service.store, judged(1), rules=RULES)

    assert await service.failure(f"{JOBS}{query}") == (400, "bad_data", expected)


async def test_a_cluster_counts_the_jobs_of_each_finding(service: Service) -> None:
    jobs = judged(1, LOW), judged(2, LOW), judged(3, UNUSED), judged(4), judged(5, LOW, account="rrg-lee")
    publish_jobs(service.store, *jobs, rules=RULES)

    data = await service.data("/api/v1/clusters/narval")

    assert data["waste"] == [
        {"reason": "cpu_low", "severity": "warning", "count": 3},
        {"reason": "gpu_unused", "severity": "critical", "count": 1},
    ]
    assert data["wasted_gpu_seconds"] is None
