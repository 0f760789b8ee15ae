"""A job id that is used anew: its present owner sees nothing of its former one, whatever time is asked for."""

from typing import Any

import pytest

from tests.scenarios.site import Site

FORMER, PRESENT = (-500.0, -300.0), -100.0
# Whose CPUs these are is told by how busy they are.
BENS, ANNS = 2.0, 3.0


def reuse(site: Site, until: float = FORMER[1]) -> None:
    """Add a run of ben's and, under the same id and on the same node, one of ann's that runs."""
    site.job(500, started=FORMER[0], ended=until, id_assoc=11, id_user=1001, tres_alloc="1=2,2=8000,4=1,5=2")
    site.job(500, started=PRESENT, id_assoc=10, tres_alloc="1=3,2=8000,4=1,5=3")
    site.samples.job(500, cpus=2, user="ben", since=FORMER[0], until=until, ended=True)
    site.samples.job(500, cpus=3, since=PRESENT)
    site.samples.job(501, cpus=1, user="ben")
    site.job(501, id_assoc=11, id_user=1001)
    for node in ("node01",):
        site.samples.host(node, cpus=4, busy=0.5)


def values(site: Site, path: str, start: float, end: float = -1.0, step: str = "3s") -> dict[float, float]:
    zero = site.samples.zero
    data: Any = site.data(f"{path}&start={zero + start:.3f}&end={zero + end:.3f}&step={step}")
    found: dict[float, float] = {}
    for line in data["result"]:
        for at, value in line["values"]:
            found[at - zero] = found.get(at - zero, 0.0) + float(value)
    return found


def started(site: Site) -> Site:
    site.use_exporters("slurm_job_exporter", "node_exporter")
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    return site


@pytest.fixture(scope="module")
def reused(shared_site: Site) -> Site:
    reuse(shared_site)
    return started(shared_site)


@pytest.mark.parametrize("step", ["3s", "60s"])
def test_an_old_start_shows_the_present_owner_s_run_alone(reused: Site, step: str) -> None:
    for ids in ("500", "500,501"):
        found = values(reused, f"/jobs/{ids}/series?metric=memory", -550, step=step)
        assert found
        assert [at for at in found if at < PRESENT - 1 and ids == "500"] == []
    found = values(reused, "/jobs/500/series?metric=cpu", -550, step=step)
    assert list(found.values()) == pytest.approx([ANNS] * len(found), rel=0.05)
    assert found
    assert min(found) >= PRESENT - 1


def test_in_a_graph_of_several_jobs_each_has_points_while_it_is_its_owner_s(reused: Site) -> None:
    zero = reused.samples.zero
    data: Any = reused.data(f"/jobs/500,501/series?metric=cpu&start={zero - 550:.3f}&end={zero - 1:.3f}&step=3s")
    first = {line["metric"]["slurmjobid"]: line["values"][0][0] - zero for line in data["result"]}
    assert first["500"] >= PRESENT - 1
    assert first["501"] < -400


def test_a_former_owner_of_a_moment_ago_is_not_in_the_first_step(site: Site) -> None:
    """The first step of the run reaches back to before its start."""
    reuse(site, until=PRESENT - 2)
    started(site)
    found = values(site, "/jobs/500/series?metric=memory", -550, step="60s")
    assert found
    data: Any = site.data("/jobs/500/series?metric=memory")
    assert all('user!~"ben"' in query for query in data["queries"])


def test_a_whole_node_is_shown_while_the_run_was_there(reused: Site) -> None:
    found = values(reused, "/jobs/500/series?metric=node_busy_cpus", -550)
    assert found
    assert min(found) >= PRESENT - 1


def test_a_time_in_which_the_job_did_not_run_has_no_lines_and_that_is_said(reused: Site) -> None:
    zero = reused.samples.zero
    status, body = reused.service.get(
        f"/api/v1/clusters/{reused.cluster}/jobs/500/series?metric=cpu&start={zero - 480:.3f}&end={zero - 400:.3f}"
    )
    assert status == 200
    assert b"the job did not run within that time" in body
    assert b'"values"' not in body


def test_runs_of_the_same_owner_are_one_job(site: Site) -> None:
    """A requeued job: the earlier run is shown when it is asked for, and nothing of the time between."""
    site.job(500, started=-500.0, ended=-300.0)
    site.job(500, started=-100.0)
    site.samples.job(500, cpus=3, since=-500.0, until=-300.0, ended=True)
    site.samples.job(500, cpus=3, since=-100.0)
    started(site)
    found = values(site, "/jobs/500/series?metric=memory", -550)
    assert min(found) < -450
    assert [at for at in found if -299 < at < -101] == []
    assert min(values(site, "/jobs/500/series?metric=memory", -100)) >= -101


def test_times_that_nobody_gave_are_never_the_client_s_mistake(site: Site) -> None:
    """The run ended before it started, or starts after our clock; and an end alone is a good question."""
    site.job(500, started=-100.0, ended=-160.0)
    site.job(501, started=90.0)
    site.job(502)
    site.samples.job(502)
    site.start()
    end = f"{site.samples.zero - 200_000:.0f}"
    for path in ("/jobs/500/series?metric=cpu", "/jobs/501/series?metric=cpu", f"/jobs/502/series?metric=cpu&end={end}",
                 f"/series?metric=used_cpus&end={end}"):  # fmt: skip
        status, body = site.service.get(f"/api/v1/clusters/{site.cluster}{path}")
        assert status == 200, (path, body)


def test_a_range_the_wrong_way_round_is_still_the_client_s_mistake(reused: Site) -> None:
    zero = reused.samples.zero
    status, body = reused.service.get(
        f"/api/v1/clusters/{reused.cluster}/jobs/501/series?metric=cpu&start={zero - 10:.0f}&end={zero - 60:.0f}"
    )
    assert status == 400
    assert b"start: must be before end" in body
