"""Usage history of a real slurmdbd: what it rolls up of a job of hours ago is what sreport and the API say."""

import time
from typing import Any

import pytest

from tests.lab import Lab, wait_until
from tests.lab.rollup import hour_of, local, roll_up_from, rolled_until
from tests.lab.service import Service
from tests.lab.slurm import DATABASE

pytestmark = pytest.mark.lab

USAGE = "/api/v1/clusters/lab/accounts/rrg-roy/usage"
CPUS, SECONDS = 2, 4000
TOP = ("def-kim", "def-lee", "rrg-roy")


def ended_job_of_hours_ago(lab: Lab, begin: int) -> None:
    """Let a job end, and say in slurmacct that it ran from `begin` + 1200 s on, with nothing rolled up since."""
    job_id = lab.slurm.submit([f"-n{CPUS}"], "carol", command="true")
    row = f"id_job={job_id} AND state=3 AND time_end>0"
    wait_until(
        lambda: bool(lab.mariadb.execute(f"SELECT 1 FROM lab_job_table WHERE {row}", DATABASE)), 60, "the job's end"
    )
    start = begin + 1200
    roll_up_from(
        lab,
        begin,
        f"UPDATE lab_job_table SET time_submit={start}, time_eligible={start}, time_start={start},"
        f" time_end={start + SECONDS} WHERE {row}",
    )


def sreport(lab: Lab, begin: int, end: int) -> dict[str, int]:
    """Ask sreport for the CPU seconds of each account."""
    bounds = [f"{name}={local(at):%Y-%m-%dT%H:%M:%S}" for name, at in (("start", begin), ("end", end))]
    command = ["-n", "-P", "-t", "Seconds", "cluster", "AccountUtilizationByUser", "format=Account,Login,Used"]
    rows = [line.split("|") for line in lab.slurm.run("sreport", *command, *bounds).splitlines()]
    return {account.strip(): int(used) for account, login, used in rows if not login}


def test_usage_is_what_sreport_says_of_what_slurmdbd_has_rolled_up(lab: Lab, service: Service) -> None:
    begin = hour_of(time.time()) - 4 * 3600
    ended_job_of_hours_ago(lab, begin)
    # It has known since its start when the oldest row begins, and a past that is made up later it has not.
    service.stop()
    service.start_and_join(lab.jobs["requeued"])
    wait_until(lambda: service.get(USAGE)[0] == 200, 60, "the usage of an account")
    # Not the newest hour: another may be rolled up while this test runs.
    until = begin + 3 * 3600
    data = service.data(f"{USAGE}?tres=cpu&start={begin}&end={until}")

    hours = {point["start_timestamp_seconds"]: point["seconds"] for point in data["usage"]["cpu"]}
    assert hours[begin] == CPUS * 2400.0
    assert hours[begin + 3600] == CPUS * 1600.0
    said = sreport(lab, begin, until)
    assert said["rrg-roy"] == data["totals"]["cpu"] == sum(hours.values())
    root = service.data(f"/api/v1/clusters/lab/accounts/root/usage?tres=cpu&start={begin}&end={until}")
    assert said["root"] == root["totals"]["cpu"]
    assert data["partial"] is False
    assert data["rolled_until_timestamp_seconds"] >= until


def since_rollup(lab: Lab, service: Service) -> tuple[int, Any]:
    """Read the usage since the last roll-up; again when an hour was rolled up meanwhile."""
    until = rolled_until(lab)
    data = service.data(f"/api/v1/clusters/lab/accounts/root/usage?tres=cpu&start={until}")
    return (until, data) if rolled_until(lab) == until else since_rollup(lab, service)


def test_what_is_not_rolled_up_comes_from_the_jobs_and_is_said(lab: Lab, service: Service) -> None:
    until, data = since_rollup(lab, service)
    now = time.time()
    rows = lab.mariadb.execute(
        "SELECT time_start, time_end, tres_alloc FROM lab_job_table WHERE time_start>0 AND (time_end=0 OR time_end>%s)",
        DATABASE, [until],
    )  # fmt: skip
    held = per_second = 0.0
    for start, end, tres in rows:
        cpus = int(str(tres).partition("1=")[2].partition(",")[0] or 0)
        held += cpus * max(0.0, min(end or now, now) - max(start, until))
        per_second += 0 if end else cpus

    assert (data["partial"], data["partial_from_timestamp_seconds"]) == (True, until)
    assert not any(point["final"] for point in data["usage"]["cpu"])
    # The open runs are as of the last refresh, a few seconds ago.
    assert data["totals"]["cpu"] == pytest.approx(held, rel=0.1, abs=10 * per_second)


def test_the_families_rest_on_the_real_tables(service: Service) -> None:
    wait_until(
        lambda: service.value("hpc_aggregator_source_feature", source="usage", cluster="lab", feature="usage") == 1.0,
        60,
        "the source of usage",
    )
    assert service.value("hpc_aggregator_source_feature", source="usage", cluster="lab", feature="qos_usage") == 0.0
    whole = service.data("/api/v1/clusters/lab/usage?tres=cpu&start=now-3h")
    assert whole["time_zone"]["origin"] in ("derived", "service")


def test_fair_share_rests_on_them(service: Service) -> None:
    wait_until(
        lambda: service.value("hpc_account_usage_ratio", cluster="lab", account="rrg-roy") is not None,
        30,
        "the decayed usage of an account",
    )
    ratios = {account: service.value("hpc_account_usage_ratio", account=account) or 0.0 for account in TOP}
    assert sum(ratios.values()) == pytest.approx(1.0), "nobody else has used anything"
    assert ratios["rrg-roy"] > 0.2, "two CPUs for more than an hour"
    rows = service.data("/api/v1/clusters/lab/users/carol")["accounts"]
    (shown,) = [row for row in rows if row["account"] == "rrg-roy"]
    assert shown["fairshare_source"] == "approximation", "the exporter has no levels of users"
    assert shown["fairshare_level"] == pytest.approx(shown["shares_ratio"] / shown["usage_ratio"])
