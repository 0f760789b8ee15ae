"""What a node draws, as its meters show it: parts and wholes, copies, values that cannot be, other meters."""

import pytest

from tests.scenarios.energy import EXPORTERS, add_up, energy, gpus, node_watts
from tests.scenarios.site import Site

LENOVO = (("Server Power Control", 358.0), ("CPU Sub-system Power", 185.0), ("Memory Sub-system Power", 8.0))


def members(
    site: Site, *names_and_watts: tuple[str, float], label: str = "power_voltage", chassis: str = "1",
    node: str = "node01",
) -> None:  # fmt: skip
    for number, (name, watts) in enumerate(names_and_watts):
        names = {label: name, f"{label}_id": str(number)}
        site.samples.chassis(node, watts, chassis_id=chassis, since=-7300.0, interval=5.0, **names)


def prepare(site: Site, *exporters: str) -> None:
    site.use_exporters(*(exporters or EXPORTERS))
    site.samples.exporter("node01")
    site.samples.host("node01", cpus=8, busy=0.5)


def rapl(site: Site, watts: float, node: str = "node01", **more: float) -> None:
    labels = {"instance": f"{node}:9100", "job": "node", "index": "0", "path": "/sys/class/powercap/intel-rapl:0"}
    site.samples.add("node_rapl_package_joules_total", lambda at: 1e6 + watts * at, **more, **labels)


@pytest.fixture(scope="module")
def metered(shared_site: Site) -> Site:
    """A site whose nodes have meters of several kinds."""
    site = shared_site
    prepare(site)
    members(site, *LENOVO)
    # Released versions of the exporter misspell the label.
    members(site, *LENOVO, label="power_votage", node="node02")
    members(site, ("Server Power Control", 0.0), *LENOVO[1:], node="node03")
    members(site, ("Node Power Control", 900.0), ("Accelerator0 Power Control", 300.0), chassis="Node0", node="node04")
    members(site, ("Chassis Power Control", 4000.0), chassis="enclosurechassis", node="node04")
    for chassis in ("1", "2"):
        members(site, ("System Power Control", 500.0), chassis=chassis, node="node05")
    members(site, ("PSU 1", 200.0), ("PSU 2", 150.0), node="node06")
    site.start(until=lambda: None not in [node_watts(site, f"node{number:02}") for number in (1, 2, 4, 5, 6)])
    return site


@pytest.mark.parametrize("node", ["node01", "node02"])
def test_the_parts_of_a_node_are_not_added_to_the_whole(metered: Site, node: str) -> None:
    """Nor are they in the power at rest."""
    assert node_watts(metered, node) == pytest.approx(358.0)


def test_without_the_whole_its_parts_do_not_stand_in_for_it(metered: Site) -> None:
    assert node_watts(metered, "node03") is None


def test_the_accelerators_of_a_node_and_the_enclosure_around_it_are_not_the_node(metered: Site) -> None:
    assert node_watts(metered, "node04") == pytest.approx(900.0)


def test_one_whole_under_two_chassis_is_one(metered: Site) -> None:
    assert node_watts(metered, "node05") == pytest.approx(500.0)


def test_disjoint_members_are_added_up(metered: Site) -> None:
    assert node_watts(metered, "node06") == pytest.approx(350.0)


def test_a_site_names_the_members_that_are_its_nodes(site: Site) -> None:
    prepare(site)
    site.settings["exporters"]["redfish_exporter"]["members"] = "GPU Sled [AB]"
    members(site, ("System Power Control", 500.0), ("GPU Sled A", 300.0), ("GPU Sled B", 400.0))
    site.start(until=lambda: node_watts(site))
    assert node_watts(site) == pytest.approx(700.0)


def test_impossible_values_are_in_no_mean_and_are_not_covered(site: Site) -> None:
    """A BMC that answers 400, 0, 400, 0 measures 400 W for half of the time."""
    prepare(site)
    site.config["energy"]["window"] = "4s"
    site.job(500)
    site.samples.job(500)
    site.samples.chassis("node01", lambda at: 400.0 if int(at) % 2 else 0.0)
    site.start(until=lambda: node_watts(site))
    assert node_watts(site) == pytest.approx(400.0)
    found = energy(site, 500)
    assert found["coverage"]["power"] == pytest.approx(0.5, abs=0.1)
    assert site.value("hpc_job_coverage_ratio", slurmjobid=500, input="power") == pytest.approx(0.5, abs=0.1)


def test_a_fall_back_meter_is_named_and_is_not_covered(site: Site) -> None:
    """A gap of redfish is filled with RAPL, which sees half of the node."""
    prepare(site)
    site.config["energy"]["backfill"] = "4m"
    site.job(500)
    site.samples.job(500)
    rapl(site, 200.0)
    site.samples.chassis("node01", lambda at: 400.0 if at < -120 else None)
    site.start()
    add_up(site, -10.0)
    found = energy(site, 500)
    assert found["coverage"]["rapl"] > 0
    assert found["coverage"]["power"] == pytest.approx(found["coverage"]["redfish"], abs=0.02)
    assert 0.3 < found["coverage"]["power"] < 0.8
    assert site.value("hpc_node_power_meter_info", node="node01", meter="rapl") == 1.0
    assert site.data("/nodes/node01")["meter"] == "rapl"


def test_a_node_that_has_rapl_only_is_covered_by_it(site: Site) -> None:
    prepare(site)
    site.job(500)
    site.samples.job(500)
    rapl(site, 200.0)
    site.start(until=lambda: node_watts(site))
    assert node_watts(site) == pytest.approx(200.0, rel=0.01)
    assert energy(site, 500)["coverage"]["power"] == pytest.approx(1.0, abs=0.02)


def test_a_board_that_jobs_share_counts_once(site: Site) -> None:
    """Four jobs on the shards of one board of 400 W: each exporter line has the board's power."""
    prepare(site, "slurm_job_exporter", "node_exporter")
    rapl(site, 250.0)
    for job_id in range(500, 504):
        site.job(job_id)
        site.samples.job(job_id, cpus=1)
        site.samples.gpu(job_id, watts=400.0)
    site.start(until=lambda: node_watts(site))
    assert node_watts(site) == pytest.approx(650.0, rel=0.01)
    for job_id in range(500, 504):
        assert site.value("hpc_job_power_watts", slurmjobid=job_id, component="gpu") == pytest.approx(100.0)


def test_boards_that_are_held_whole_count_each(site: Site) -> None:
    """Two jobs with a GPU each, which happen to draw the same."""
    prepare(site, "slurm_job_exporter", "node_exporter")
    rapl(site, 250.0)
    for job_id in (500, 501):
        site.job(job_id, **gpus(1))
        site.samples.job(job_id, cpus=1)
        site.samples.gpu(job_id, watts=300.0)
    site.start(until=lambda: node_watts(site))
    assert node_watts(site) == pytest.approx(850.0, rel=0.01)


@pytest.mark.parametrize("is_new", [False, True], ids=["v0.2.0", "v0.2.2"])
def test_slices_of_a_board_are_no_boards(site: Site, is_new: bool) -> None:
    """Releases up to v0.2.0 show slices with the board's power and without GPU_I_ID: two boards of 100 and 200 W."""
    prepare(site, "slurm_job_exporter", "node_exporter", "nvidia_gpu_exporter", "redfish_exporter")
    site.samples.chassis("node01", 900.0)
    site.job(500, **gpus(2))
    site.samples.job(500)
    for uuid, watts, part in (("GPU-0", 100, ""), ("GPU-1", 200, ""), ("MIG-0", 200, "1"), ("MIG-1", 200, "2")):
        labels = {"uuid": uuid, "instance": "node01:9445", "job": "nvidia", **({"GPU_I_ID": part} if is_new else {})}
        site.samples.add("nvidia_gpu_power_usage_milliwatts", watts * 1e3, **labels)
    site.start(until=lambda: node_watts(site))
    assert site.value("hpc_job_power_watts", slurmjobid=500, component="gpu") == pytest.approx(300.0)


def test_two_replicas_of_prometheus_count_once(site: Site) -> None:
    prepare(site)
    rapl(site, 200.0, "node02")
    site.samples.exporter("node02")
    site.samples.host("node02", cpus=8)
    members(site, *LENOVO)
    site.job(500, **gpus(1))
    site.samples.job(500)
    site.samples.gpu(500, watts=150.0)
    site.samples.add("DCGM_FI_DEV_POWER_USAGE", 150.0, instance="node01:9400", job="dcgm", UUID="GPU-0", gpu="0")
    series = list(site.samples.series)
    site.samples.write(site.servers.prometheus.url, {"prometheus_replica": "prom-0"})
    site.samples.series = series
    site.samples.write(site.servers.prometheus.url, {"prometheus_replica": "prom-1"})
    site.start(until=lambda: node_watts(site) and node_watts(site, "node02"))
    assert node_watts(site) == pytest.approx(358.0)
    assert node_watts(site, "node02") == pytest.approx(200.0, rel=0.01)
    assert site.value("hpc_job_power_watts", slurmjobid=500, component="gpu") == pytest.approx(150.0)


def test_a_cpu_that_was_switched_off_is_no_part_of_the_node(site: Site) -> None:
    """Its counters stand still: a job on all CPUs that are left holds the whole node."""
    site.use_exporters(*EXPORTERS)
    site.config["energy"]["model"] = "allocation"
    site.samples.exporter("node01")
    site.samples.host("node01", cpus=4, busy=0.5)
    for cpu in range(4, 8):
        for mode in ("idle", "user", "system"):
            site.samples.add("node_cpu_seconds_total", 1e6, cpu=str(cpu), mode=mode, instance="node01:9100", job="node")
    site.samples.chassis("node01", 300.0)
    site.job(500)
    site.samples.job(500)
    site.start(until=lambda: node_watts(site))
    assert site.value("hpc_job_power_watts", slurmjobid=500, component="node") == pytest.approx(300.0)
