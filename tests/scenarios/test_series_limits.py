"""`limits.series` of a running service: the page has the largest and `_other`, its sums are exact, the API has all."""

import pytest

from tests.scenarios.site import Site

CPUS = {501: 1, 502: 16, 503: 2, 504: 8, 505: 4}
FOLDED = CPUS[501] + CPUS[503] + CPUS[505]


@pytest.fixture
def limited(site: Site) -> Site:
    """Start a site with five jobs of two users and series for two jobs and a user; one job waits."""
    site.config["limits"] = {"series": {"jobs": 2, "users": 1}}
    for job, cpus in CPUS.items():
        site.job(job, cpus_req=cpus, tres_alloc=f"1={cpus},2=8000,4=1,5=4", id_assoc=10 if job < 504 else 11,
                 id_user=1000 if job < 504 else 1001)  # fmt: skip
    site.job(506, state=0, time_start=0, nodelist="", tres_alloc="", nodes_alloc=0)
    site.start(until=lambda: site.value("hpc_job_allocated_cpus", slurmjobid=502))
    return site


def by(site: Site, family: str, label: str) -> dict[str, float]:
    return {dict(labels)[label]: value for labels, value in site.samples_of(family).items()}


def test_the_page_has_the_largest_and_the_sum_of_the_others_and_the_api_all(limited: Site) -> None:
    cpus = "hpc_job_allocated_cpus"
    assert by(limited, cpus, "slurmjobid") == {"502": CPUS[502], "504": CPUS[504], "_other": FOLDED}
    users, accounts = "hpc_user_allocated_cpus", "hpc_account_allocated_cpus"
    assert by(limited, users, "user") == {"ann": CPUS[501] + CPUS[502] + CPUS[503], "_other": CPUS[504] + CPUS[505]}
    assert by(limited, accounts, "account") == {"phys": sum(CPUS.values())}
    assert by(limited, "hpc_job_info", "slurmjobid").keys() == {"502", "504"}
    folded = by(limited, "hpc_aggregator_series_folded", "family")
    assert (folded[cpus], folded["hpc_job_info"], folded[users]) == (3, 4, 1)
    assert accounts not in folded
    assert {job["job_id"] for job in limited.data("/jobs")["jobs"]} == {*CPUS, 506}
    assert {row["user"] for row in limited.data("/users")["users"]} >= {"ann", "ben"}


def test_a_larger_job_takes_the_place_of_a_smaller_one(limited: Site) -> None:
    limited.job(507, cpus_req=12, tres_alloc="1=12,2=8000,4=1,5=4")
    limited.wait(lambda: limited.value("hpc_job_allocated_cpus", slurmjobid=507), "the new job")
    assert limited.value("hpc_job_allocated_cpus", slurmjobid=504) is None
    assert limited.value("hpc_job_allocated_cpus", slurmjobid="_other") == FOLDED + CPUS[504]
