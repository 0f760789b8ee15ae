"""Waste in the answers: what was found, how to mend it, and why something was not judged."""

from dataclasses import replace

import pytest

from aggregator.join.sums import sum_by_account
from aggregator.model.accounting import JobState
from aggregator.model.view import Job
from aggregator.model.waste import Finding, Judgement, NotJudged
from tests.builders import make_finding

from .builders import A_RUN, JOBS, make_job, make_run, publish_jobs
from .conftest import Service

RULES = ("cpu_low", "gpu_unused", "cpu_serial")


def critical(finding: Finding) -> Finding:
    return replace(finding, severity="critical")


def judged(job_id: int, *findings: Finding, not_judged: tuple[NotJudged, ...] = ()) -> Job:
    return replace(make_job(job_id), waste=Judgement(findings, not_judged))


async def ids(service: Service, query: str) -> list[int]:
    return [job["job_id"] for job in (await service.data(f"{JOBS}{query}"))["jobs"]]


async def test_a_run_shows_its_findings_with_what_they_rest_on(service: Service) -> None:
    finding = make_finding(name="cpu_low", fix="Ask for less.", documentation="docs/waste.md#cpu_low")
    publish_jobs(service.store, judged(101, finding, not_judged=(NotJudged("gpu_unused", "only 40 % was observed"),)))

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert run["waste"] == {
        "findings": [
            {
                "reason": "cpu_low", "severity": "warning", "resource": "cpu", "message": "It holds a CPU.",
                "fix": "Ask for less.", "documentation": "docs/waste.md#cpu_low", "field": "cpus_allocated",
                "value": 8.0, "operator": ">=", "threshold": 1.0, "unit": "cpus", "coverage": 1.0,
                "wasted": {"cpus": 2.5, "cpu_seconds": None},
            }
        ],
        "not_judged": [{"rule": "gpu_unused", "because": "only 40 % was observed"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "wasted"),
    [("memory", {"memory_bytes": 0.0}), ("gpu", {"gpus": 1.5, "gpu_seconds": None})],
)
async def test_a_finding_shows_what_is_wasted_of_its_resource(
    service: Service, resource: str, wasted: dict[str, float | None]
) -> None:
    publish_jobs(service.store, judged(101, make_finding(resource=resource)))

    (finding,) = (await service.data(f"{JOBS}/101"))["runs"][0]["waste"]["findings"]

    assert (finding["wasted"], finding["fix"], finding["documentation"]) == (wasted, None, None)


async def test_a_reason_for_every_rule_names_none(service: Service) -> None:
    publish_jobs(service.store, judged(101, not_judged=(NotJudged("", "it has not started"),)))

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert run["waste"] == {"findings": [], "not_judged": [{"rule": None, "because": "it has not started"}]}


async def test_a_run_that_only_slurmacct_knows_is_not_judged(service: Service) -> None:
    publish_jobs(service.store)
    service.reader.runs = (replace(A_RUN, state=JobState.COMPLETED, end=A_RUN.submit + 4000),)

    (run,) = (await service.data(f"{JOBS}/101"))["runs"]

    assert run["waste"]["not_judged"] == [{"rule": None, "because": "it is not among the running jobs"}]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?waste=cpu_low", [4, 2]),
        ("?waste=cpu_low,gpu_unused", [4, 3, 2]),
        ("?severity=critical", [4, 3]),
        ("?severity=Warning&severity=critical", [4, 3, 2]),
        ("?waste=cpu_serial", []),
        ("?waste=cpu_low&severity=critical&user=alice", []),
        ("?waste=gpu_unused&severity=critical", [4, 3]),
    ],
)
async def test_the_list_is_narrowed_to_findings(service: Service, query: str, expected: list[int]) -> None:
    """Reason and severity must be of one finding: job 4 has a mild one and a bad one."""
    low, unused = make_finding(name="cpu_low"), critical(make_finding(name="gpu_unused"))
    jobs = judged(1), judged(2, low), judged(3, unused), judged(4, low, unused)
    publish_jobs(service.store, *jobs, rules=RULES)

    assert await ids(service, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?waste=cpu", 'waste: must be one of cpu_low, cpu_serial, gpu_unused, got "cpu"'),
        ("?severity=bad", 'severity: must be one of critical, warning, got "bad"'),
        ("?waste=", "waste: must not be empty"),
    ],
)
async def test_a_mistyped_rule_is_named_with_those_that_there_are(service: Service, query: str, expected: str) -> None:
    publish_jobs(service.store, judged(1), rules=RULES)

    assert await service.failure(f"{JOBS}{query}") == (400, "bad_data", expected)


async def test_a_cluster_counts_the_jobs_of_each_finding(service: Service) -> None:
    low = make_finding(name="cpu_low")
    jobs = judged(1, low), judged(2, low), judged(3, critical(make_finding(name="gpu_unused"))), judged(4)
    other = replace(judged(5, low), run=make_run(5, account="rrg-lee"))
    publish_jobs(service.store, *jobs, other, accounts=sum_by_account([*jobs, other]))

    data = await service.data("/api/v1/clusters/narval")

    assert data["waste_jobs"] == [
        {"reason": "cpu_low", "severity": "warning", "jobs": 3},
        {"reason": "gpu_unused", "severity": "critical", "jobs": 1},
    ]
    assert data["wasted"]["gpu_seconds"] is None
