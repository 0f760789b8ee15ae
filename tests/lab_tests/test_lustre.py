"""Lustre on the real stack: what its servers show comes out by job, user and account, and nothing is lost."""

import asyncio
import pwd
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from aggregator.model.series import Lines, Span, Subject
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusSeries
from aggregator.sources.prometheus.client import Endpoint
from tests.lab import Lab, wait_until
from tests.lab.feed import RunningJob
from tests.lab.lustre import HOSTILE, LOGIN, STRANGER, UNKNOWN, io_of
from tests.lab.service import Service

pytestmark = pytest.mark.lab

READ = "lustre_read_bytes_per_second"
WINDOW = 15.0
# A rate is of whole scrapes, which are not taken at the very ends of its window.
CLOSE = 0.02


@pytest.fixture(autouse=True)
def labelled(lab: Lab) -> Iterator[None]:
    yield
    lab.simulators.lustre.labelled = True


def running(lab: Lab) -> list[RunningJob]:
    """The jobs that were there from the beginning."""
    return [job for job in lab.feed.jobs if job.submitted_id in lab.jobs.values()]


def rates(service: Service, family: str, label: Callable[[Mapping[str, str]], Any]) -> dict[Any, float]:
    return {label(dict(labels)): value for labels, value in service.samples(family).items()}


def agree(found: Mapping[Any, float], expected: Mapping[Any, float]) -> bool:
    return {key: found.get(key) for key in expected} == pytest.approx(dict(expected), rel=CLOSE)


def test_each_jobs_rates_are_its_own_on_each_file_system(lab: Lab, service: Service) -> None:
    jobs = running(lab)
    for family, rate in (
        (READ, lambda io: io.read),
        ("lustre_write_bytes_per_second", lambda io: io.write),
        ("lustre_metadata_operations_per_second", lambda io: 3 * io.operations),
    ):
        expected = {
            (str(job.job_id), name): rate(io_of(job)) for job in jobs for name in ("project", "scratch")
        }  # fmt: skip
        wait_until(
            lambda family=family, expected=expected: agree(
                rates(service, f"hpc_job_{family}", lambda labels: (labels["slurmjobid"], labels["filesystem"])),
                expected,
            ),
            60,
            f"the jobs' {family}",
        )
    coverage = service.samples("hpc_job_coverage_ratio", input="lustre")
    assert len(coverage) >= len(jobs)
    assert set(coverage.values()) == {1.0}


Owners = dict[tuple[str, str, str], float]


def expected_users(lab: Lab) -> Owners:
    """What each user reads by account and file system; of all jobs, for other tests have theirs."""
    users: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for job in lab.feed.jobs:
        # Only `project` shows processes outside of jobs.
        users[job.user, "", "project"] = LOGIN.read
        for name in ("project", "scratch"):
            users[job.user, job.account, name] += io_of(job).read
    # A uid that never had a job stays a uid.
    return users | {("root", "", "project"): LOGIN.read, (str(STRANGER), "", "project"): LOGIN.read}


def users_of(service: Service) -> dict[Any, float]:
    return rates(
        service, f"hpc_user_{READ}", lambda labels: (labels["user"], labels.get("account", ""), labels["filesystem"])
    )


def test_users_have_their_jobs_and_what_they_do_on_login_nodes(lab: Lab, service: Service) -> None:
    wait_until(lambda: agree(users_of(service), expected_users(lab)), 90, "the users' rates")


def test_accounts_have_the_jobs_of_their_users(lab: Lab, service: Service) -> None:
    def told() -> bool:
        accounts: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (_, account, name), rate in expected_users(lab).items():
            if account:
                accounts[account, name] += rate
        found = rates(service, f"hpc_account_{READ}", lambda labels: (labels["account"], labels["filesystem"]))
        return agree(found, accounts)

    wait_until(told, 90, "the accounts' rates")


def test_the_parts_add_up_to_what_was_measured_and_strange_job_ids_are_unknown(lab: Lab, service: Service) -> None:
    def measured() -> bool:
        part = rates(service, f"hpc_cluster_{READ}", lambda labels: (labels["filesystem"], labels["part"]))
        users = sum(service.samples(f"hpc_user_{READ}").values())
        whole = lab.prometheus.value(f'sum(rate(lustre_job_read_bytes_total{{component="ost"}}[{WINDOW:.0f}s]))')
        unknown = part.get(("project", "unknown"), 0.0)
        return (
            unknown == pytest.approx(len(HOSTILE) * UNKNOWN.read, rel=CLOSE)
            and users + sum(rate for (_, name), rate in part.items() if name == "unknown")
            == pytest.approx(whole, rel=CLOSE)
            and sum(part.values()) == pytest.approx(whole, rel=CLOSE)
        )

    wait_until(measured, 60, "the parts to add up")


def test_without_the_proxys_labels_the_jobs_owners_are_known_all_the_same(lab: Lab, service: Service) -> None:
    lab.simulators.lustre.labelled = False
    job = running(lab)[0]
    unlabelled = f'lustre_job_read_bytes_total{{jobid="{job.job_id}",fs="scratch",user=""}}'
    labelled = unlabelled.replace('user=""', f'user="{job.user}"')
    wait_until(lambda: bool(lab.prometheus.query(unlabelled)), 60, "series without labels")
    wait_until(lambda: not lab.prometheus.query(f"rate({labelled}[{WINDOW:.0f}s])"), 60, "labels to be of the past")
    wait_until(lambda: agree(users_of(service), expected_users(lab)), 90, "the users' rates")


def test_prometheus_takes_the_proxys_page_though_it_ends_without_a_newline(lab: Lab, service: Service) -> None:
    assert not lab.simulators.lustre.proxied_page("oss3").endswith("\n")
    assert {sample["value"][1] for sample in lab.prometheus.query('up{job="lustre-slurm"}')} == {"1"}


def test_a_target_that_fails_over_and_an_entry_that_is_evicted_make_no_rate_too_high(
    lab: Lab, service: Service
) -> None:
    """Both start counters at 0: rates are taken first and added up then."""
    job = next(each for each in running(lab) if each.job_id == lab.jobs["multi_node"])
    project, scratch = lab.simulators.lustre.project, lab.simulators.lustre.scratch
    began = time.time()
    project.fail_over("project-OST0000", "oss2")
    scratch.evict(str(job.job_id))
    try:
        wait_until(lambda: time.time() > began + WINDOW + 10, 60, "a window after the fault")
        series = f"/api/v1/clusters/lab/jobs/{job.job_id}/series?metric=lustre_bandwidth&step=1"
        lines = service.data(f"{series}&start={began - 5}&end={began + WINDOW + 5}")["result"]
        read = [line for line in lines if line["metric"]["direction"] == "read"]
        assert {line["metric"]["filesystem"] for line in read} == {"project", "scratch"}
        for line in read:
            assert line["max"] < 1.1 * io_of(job).read
            assert line["last"] == pytest.approx(io_of(job).read, rel=CLOSE)
    finally:
        project.fail_over("project-OST0000", "oss1")


def test_without_the_proxy_users_have_their_graphs_from_our_own_gauges(lab: Lab, service: Service) -> None:
    job = running(lab)[0]

    async def ask() -> Lines:
        client = PrometheusClient(Endpoint(key="lab", url=lab.prometheus.url))
        exporters = {"lustre_exporter": ExporterSettings(interval=1.0)}
        series = PrometheusSeries(client, {"cluster": "lab"}, exporters, NodeNames(), "lab")
        subject, end = Subject(labels=(("user", job.user),)), time.time() - 2
        try:
            return await series.read("user", "lustre_bandwidth", subject, Span(end - 5, end, 1.0))
        finally:
            await client.close()

    def drawn() -> bool:
        lines = asyncio.run(ask()).lines
        login = {"account": "", "filesystem": "project", "direction": "read"}
        values = [
            line.points[-1][1] for line in lines if {"account": "", **line.labels} == login and line.points
        ]  # fmt: skip
        return values == [pytest.approx(LOGIN.read, rel=CLOSE)]

    wait_until(drawn, 60, "the login node's line of the user")


def test_every_user_of_the_lab_has_a_uid_that_slurmacct_tells(lab: Lab, service: Service) -> None:
    """The names of uids come from slurmacct's rows, not from this machine."""
    uids = {str(pwd.getpwnam(job.user).pw_uid) for job in running(lab)}
    shown = {dict(labels)["user"] for labels in service.samples(f"hpc_user_{READ}")}
    assert not uids & shown
