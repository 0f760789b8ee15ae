"""Graphs while exporters are away: what was not observed has no point, and what was has no false fall."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.samples import AHEAD, Value
from tests.scenarios.site import Site

# The exporter does not answer in this time, in the samples' seconds; counters go on.
AWAY = (-240.0, -150.0)
SEEN = 2.0  # seconds after the last sample in which a slope is still shown: two scrapes


def with_outage(value: Callable[[float], float]) -> Value:
    return lambda at: None if AWAY[0] < at < AWAY[1] else value(at)


def add_job(site: Site, *, id_job: int = 500, cpus: int = 6, since: float = -600.0, until: float = AHEAD) -> None:
    """Add a job of ann's that keeps all its CPUs busy, as an exporter that is away for a while shows it."""
    labels = {"instance": "node01:9798", "job": "slurm_job", "slurmjobid": str(id_job), "user": "ann",
              "account": "phys"}  # fmt: skip
    for core in range(cpus):
        site.samples.add(
            "slurm_job_core_usage_total", with_outage(lambda at: 1e9 * (at - since)), core=str(core), since=since,
            until=until, **labels,
        )  # fmt: skip
    for kind in ("usage", "rss", "max"):
        site.samples.add(f"slurm_job_memory_{kind}", with_outage(lambda _: 1e9), since=since, until=until, **labels)


def start(site: Site) -> None:
    """Start the service and wait until it knows who is there."""
    path = f"/api/v1/clusters/{site.cluster}/users/ann"
    site.start(until=lambda: site.service.get(path)[0] == 200)


def points(site: Site, path: str, start: float, end: float, step: str, **labels: str) -> dict[float, float]:
    """Give the points of the one line with these labels, at the samples' seconds."""
    zero = site.samples.zero
    query = f"start={zero + start:.3f}&end={zero + end:.3f}&step={step}"
    data: Any = site.data(f"{path}&{query}")
    lines = [line for line in data["result"] if labels.items() <= line["metric"].items()]
    assert len(lines) == 1, data
    return {at - zero: float(value) for line in lines for at, value in line["values"]}


def unseen(found: dict[float, float]) -> list[float]:
    return [at for at in found if AWAY[0] + SEEN < at < AWAY[1]]


def test_a_job_s_cpus_do_not_fall_before_or_after_an_outage_of_its_exporter(site: Site) -> None:
    site.job(500, started=-500.0, tres_alloc="1=6,2=8000,4=1,5=6")
    add_job(site)
    start(site)
    found = points(site, "/jobs/500/series?metric=cpu", -400, -20, "3s")
    assert list(found.values()) == pytest.approx([6.0] * len(found), rel=1e-3)
    assert min(found) < AWAY[0] < AWAY[1] < max(found)
    assert unseen(found) == []
    cores = points(site, "/jobs/500/series?metric=cpu_cores", -400, -20, "3s", core="0")
    assert list(cores.values()) == pytest.approx([1.0] * len(cores), rel=1e-3)
    assert unseen(cores) == []


def test_a_long_step_half_of_which_was_observed_shows_that_half(site: Site) -> None:
    site.job(500, started=-500.0, tres_alloc="1=6,2=8000,4=1,5=6")
    add_job(site)
    start(site)
    found = points(site, "/jobs/500/series?metric=cpu", -400, -20, "60s")
    assert list(found.values()) == pytest.approx([6.0] * len(found), rel=1e-3)
    assert len(found) >= 5


def test_a_job_that_has_just_begun_is_not_shown_as_idle(site: Site) -> None:
    site.job(500, started=-30.0, tres_alloc="1=6,2=8000,4=1,5=6")
    site.samples.begin = -30.0
    add_job(site, since=-30.0)
    start(site)
    found = points(site, "/jobs/500/series?metric=cpu", -30, -1, "1s")
    assert list(found.values()) == pytest.approx([6.0] * len(found), rel=0.03)
    assert min(found) < -25


def test_a_host_s_cpus_and_traffic_do_not_fall_either(site: Site) -> None:
    site.use_exporters("slurm_job_exporter", "node_exporter")
    site.job(500)
    labels = {"instance": "node01:9100", "job": "node"}
    for mode, share in (("idle", 0.25), ("user", 0.75)):
        site.samples.add(
            "node_cpu_seconds_total", with_outage(lambda at, s=share: s * (at + 1000)), cpu="0", mode=mode, **labels
        )
    for way in ("receive", "transmit"):
        site.samples.add(
            f"node_network_{way}_bytes_total", with_outage(lambda at: 1e6 * (at + 1000)), device="eth0", **labels
        )
    site.samples.job(500)
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    for metric, value, line in (
        ("node_busy_cpus", 0.75, {}), ("node_cpu", 0.75, {"mode": "user"}), ("network", 1e6, {"direction": "receive"}),
    ):  # fmt: skip
        for step in ("3s", "60s"):
            found = points(site, f"/jobs/500/series?metric={metric}", -400, -20, step, **line)
            assert list(found.values()) == pytest.approx([value] * len(found), rel=1e-3), (metric, step)
            assert step == "60s" or unseen(found) == []


def test_a_user_s_sum_of_the_exporter_s_series_does_not_fall(site: Site) -> None:
    """Neither our own gauges nor recorded sums are in this Prometheus."""
    site.job(500, started=-500.0, tres_alloc="1=6,2=8000,4=1,5=6")
    add_job(site)
    start(site)
    for step in ("3s", "60s"):
        found = points(site, "/users/ann/series?metric=used_cpus", -400, -20, step)
        assert list(found.values()) == pytest.approx([6.0] * len(found), rel=1e-3), step
        assert step == "60s" or unseen(found) == []


def test_jobs_that_follow_one_another_are_never_there_at_once(site: Site) -> None:
    """Of a step of a minute in which one job ends and the next begins, each has its part; nobody has both."""
    site.job(500)
    for number, since in enumerate(range(-600, 0, 20)):
        site.samples.job(600 + number, cpus=2, since=float(since), until=since + 20.0, ended=True, busy=1.0)
    site.samples.job(500, cpus=2, user="ben")
    start(site)
    of_ann = points(site, "/users/ann/series?metric=used_cpus", -500, -30, "60s")
    assert list(of_ann.values()) == pytest.approx([2.0] * len(of_ann), rel=0.25)
    memory = points(site, "/users/ann/series?metric=used_memory", -500, -30, "60s")
    assert list(memory.values()) == pytest.approx([1e9] * len(memory), rel=0.1)


def test_a_user_without_a_job_for_half_of_a_step_has_half_of_it(site: Site) -> None:
    site.job(500)
    begin = -300.0
    # An evaluation every minute: the job is there in half of the minutes' half.
    for number in range(5):
        since = begin + 60 * number
        site.samples.job(600 + number, cpus=2, since=since, until=since + 30, ended=True)
    site.samples.job(500, cpus=2, user="ben")
    start(site)
    found = points(site, "/users/ann/series?metric=used_memory", begin + 60, begin + 240, "60s")
    assert list(found.values()) == pytest.approx([0.5e9] * len(found), rel=0.35)


def test_what_our_own_gauge_did_not_know_is_not_filled_in_by_recorded_sums(site: Site) -> None:
    """The rules' rates fall while exporters go away and come back: 6.0, 4.96, 0.63, where 6.0 was true."""
    ours = {"instance": "aggregator:9850", "job": "hpc-aggregator"}
    who = {"user": "ann", "account": "phys"}
    site.job(500)
    site.samples.add("hpc_account_info", 1.0, account="root", **ours)
    site.samples.add("hpc_account_info", 1.0, account="phys", parent="root", **ours)
    for owner, labels in (("user", who), ("account", {"account": "phys"})):
        for since, until in ((-400.0, AWAY[0]), (AWAY[1], AHEAD)):
            site.samples.add(f"hpc_{owner}_used_cpus", 6.0, since=since, until=until, ended=until < 0, **ours, **labels)
        site.samples.add(f"hpc_{owner}_allocated_cpus", 6.0, **ours, **labels)
    falling = with_falls()
    site.samples.add("slurm_job:used_core:sum", falling)
    site.samples.add("slurm_job:used_core:sum_user_account", falling, **who)
    site.samples.job(500)
    start(site)
    for path in ("/users/ann/series", "/accounts/phys/series", "/series"):
        found = points(site, f"{path}?metric=used_cpus", -380, -20, "3s")
        assert set(found.values()) == {6.0}, path
        # A step of which a part was known has a point.
        assert [at for at in found if AWAY[0] + 3 < at < AWAY[1]] == []
        assert max(found) > AWAY[1]


def test_before_this_service_was_there_the_recorded_sums_are_shown(site: Site) -> None:
    """The other case: there was nobody who could have known."""
    ours = {"instance": "aggregator:9850", "job": "hpc-aggregator"}
    who = {"user": "ann", "account": "phys"}
    site.job(500)
    site.samples.add("hpc_account_info", 1.0, account="root", since=-200.0, **ours)
    for name in ("used", "allocated"):
        site.samples.add(f"hpc_user_{name}_cpus", 6.0, since=-200.0, **ours, **who)
    for labels in ({}, who):
        name = "slurm_job:used_core:sum" + ("_user_account" if labels else "")
        site.samples.add(name, 5.0, since=-400.0, **labels)
    site.samples.job(500)
    start(site)
    found = points(site, "/users/ann/series?metric=used_cpus", -380, -20, "3s")
    assert {value for at, value in found.items() if at < -201} == {5.0}
    assert {value for at, value in found.items() if at > -199} == {6.0}


def with_falls() -> Callable[[float], float | None]:
    """Give what a rate over two minutes, divided by all of them, says around an outage."""

    def value(at: float) -> float | None:
        into, out = at - AWAY[0], at - AWAY[1]
        if into <= 0:
            return 6.0
        if out < 0:
            return 6.0 * (1 - into / 60) if into < 60 else None
        return min(6.0, 0.63 + out / 10)

    return value
