"""Every set of exporters shows the same jobs, each in its own words, units and with its own traps."""

from collections import defaultdict
from dataclasses import replace

import pytest
from prometheus_client.exposition import generate_latest

from tests.lab.behaviours import GIB, MIB, Behaviour
from tests.lab.exporters.activity import Activity
from tests.lab.exporters.amd_exporter import amd_smi_exporter, device_metrics_exporter, omnistat
from tests.lab.exporters.boards import Device, Meter, Slice, Unit, boards, units
from tests.lab.exporters.ceems_exporter import Host, PowerMeter, ceems_exporter
from tests.lab.exporters.cgroup_exporter import Cgroups, plazonic, treydock
from tests.lab.exporters.dcgm_exporter import Spelling, dcgm_exporter
from tests.lab.exporters.nvidia_gpu_exporter import Style, nvidia_gpu_exporter
from tests.lab.exporters.sluid import sluid
from tests.lab.exporters.text import read
from tests.lab.feed import NodeShare, parse_jobs
from tests.unit.lab.shapes import shape

Labels = dict[str, str]
NODE = "node07"
V1, V2 = Cgroups(version=1), Cgroups(version=2)


def job(key: int, behaviour: Behaviour, cpus: int, *gpus: int, user: str = "alice", elapsed: float = 600.0) -> Activity:
    share = NodeShare(tuple(range(cpus)), cpus * 2 * GIB, len(gpus), gpus)
    return Activity(key, user, "def-bio", elapsed, share, behaviour, 1000 + key, "gpu")


CPU = job(64, Behaviour(cpu=0.9, rss_per_cpu=300 * MIB, cache=40 * MIB), 4)
BUSY = job(67, Behaviour(cpu=0.6, gpu=(90.0, 40.0), gpu_memory=30 * GIB), 8, 0, 2, user='b"ob\n\N{ROCKET}')
SILENT = job(70, Behaviour(processes=False), 2, 3)
JOBS = [CPU, BUSY, SILENT]


def now(jobs: list[Activity] = JOBS, devices: tuple[Device, ...] = boards(4), meter: Meter | None = None) -> list[Unit]:
    return units(NODE, devices, jobs, meter or Meter(), 0.0)


def of(page: str, metric: str) -> list[tuple[Labels, float]]:
    return [(labels, value) for name, labels, value in read(page) if name == metric]


def by(page: str, metric: str, label: str) -> dict[str, float]:
    found = [(labels[label], value) for labels, value in of(page, metric) if label in labels]
    assert len(dict(found)) == len(found), "a series for each"
    return dict(found)


def jobs_of_treydock(page: str, metric: str) -> dict[str, float]:
    """Join by cgroup_info, as a reader must."""
    job_of = {labels["cgroup"]: labels["jobid"] for labels, _ in of(page, "cgroup_info")}
    return {job_of[cgroup]: value for cgroup, value in by(page, metric, "cgroup").items()}


def ceems(jobs: list[Activity] = JOBS, **host: object) -> str:
    return ceems_exporter(Host(NODE, Meter(), 0.0, **host), jobs, now(jobs))  # type: ignore[arg-type]


@pytest.mark.parametrize("cgroups", [V1, V2])
def test_cpu_time_cpus_and_limits_are_those_of_the_jobs(cgroups: Cgroups) -> None:
    seconds = {"64": 4 * 0.9 * 600, "67": 8 * 0.6 * 600}
    limits = {"64": 8 * GIB, "67": 16 * GIB}
    mine, other, third = plazonic(JOBS, cgroups), treydock(JOBS, cgroups), ceems()
    assert by(mine, "cgroup_cpu_total_seconds", "jobid") == pytest.approx({**seconds, "70": 0})
    assert jobs_of_treydock(other, "cgroup_cpu_total_seconds") == pytest.approx(seconds)
    modes = [by(third, f"ceems_compute_unit_cpu_{mode}_seconds_total", "uuid") for mode in ("user", "system")]
    assert {key: modes[0][key] + modes[1][key] for key in seconds} == pytest.approx(seconds)
    assert by(mine, "cgroup_memory_total_bytes", "jobid") == {**limits, "70": 4 * GIB}
    assert jobs_of_treydock(other, "cgroup_memory_total_bytes") == limits
    assert by(third, "ceems_compute_unit_memory_total_bytes", "uuid") == {**limits, "70": 4 * GIB}
    assert by(mine, "cgroup_cpus", "jobid") == {"64": 4, "67": 8, "70": 2}


def test_resident_memory_has_the_page_cache_in_it_with_treydocks_on_v2_only() -> None:
    rss, cached = 1200 * MIB, 1240 * MIB
    assert by(plazonic([CPU], V2), "cgroup_memory_rss_bytes", "jobid") == {"64": rss}
    assert by(ceems([CPU]), "ceems_compute_unit_memory_rss_bytes", "uuid") == {"64": rss}
    for cgroups, release, wanted in ((V2, (1, 2, 1), cached), (V2, (1, 0, 0), rss), (V1, (1, 2, 1), rss)):
        page = treydock([CPU], cgroups, release=release)
        assert jobs_of_treydock(page, "cgroup_memory_rss_bytes") == {"64": wanted}
        assert jobs_of_treydock(page, "cgroup_memory_used_bytes") == {"64": cached}


def test_cpu_time_of_treydocks_is_a_counter_since_1_2_1_and_a_gauge_before() -> None:
    kinds = [shape(treydock(JOBS, V2, release=each))["cgroup_cpu_total_seconds"][0] for each in ((1, 2, 0), (1, 2, 1))]
    assert kinds == ["gauge", "counter"]
    assert "cgroup_memsw_fail_count" not in shape(treydock(JOBS, V2))


def test_a_limit_that_is_none_is_written_in_three_ways() -> None:
    for version, mine, other in ((1, 9223372036854771712, 9223372036854771712), (2, -1, 2**64)):
        cgroups = Cgroups(version, memory=False, cores=False)
        assert set(by(plazonic(JOBS, cgroups), "cgroup_memory_total_bytes", "jobid").values()) == {mine}
        assert set(by(treydock(JOBS, cgroups), "cgroup_memory_total_bytes", "cgroup").values()) == {other}
        assert set(by(treydock(JOBS, cgroups), "cgroup_cpus", "cgroup").values()) == {0}
    assert by(ceems(limited=False), "ceems_compute_unit_memory_total_bytes", "uuid")["64"] == 128000 * MIB


def test_a_cgroup_that_cannot_be_read_is_left_out_or_has_zeros_and_no_job() -> None:
    mine, other = plazonic(JOBS, V2, failed={64}), treydock(JOBS, V2, failed={64})
    path = "/system.slice/slurmstepd.scope/job_64"
    assert by(mine, "cgroup_cpu_total_seconds", "jobid").keys() == {"67", "70"}
    assert by(other, "cgroup_cpu_total_seconds", "cgroup")[path] == 0
    assert by(other, "cgroup_info", "cgroup").keys() == {"/system.slice/slurmstepd.scope/job_67"}
    assert [by(page, "cgroup_exporter_collect_error", "cgroup") for page in (mine, other)] == [{path: 1}] * 2


def test_steps_and_tasks_repeat_the_job() -> None:
    whole = plazonic([CPU], V2, full=True)
    assert [(labels["step"], labels["task"]) for labels, _ in of(whole, "cgroup_cpu_total_seconds")] == [
        ("", ""), ("batch", ""), ("batch", "0"),
    ]  # fmt: skip
    assert len({value for _, value in of(whole, "cgroup_cpu_total_seconds")}) == 1


def test_the_user_is_known_on_v1_and_by_an_option_on_v2() -> None:
    assert by(plazonic([CPU], V1), "cgroup_uid", "jobid") == {"64": 1064}
    assert by(plazonic([CPU], V2), "cgroup_uid", "jobid") == {"64": -1}
    named = plazonic([CPU, BUSY], V2, usernames=True)
    assert by(named, "cgroup_uid", "jobid") == {"64": 1064, "67": 1067}
    assert by(named, "cgroup_info", "username").keys() == {"alice", 'b"ob\n\N{ROCKET}'}


def test_a_job_that_is_called_by_its_sluid_is_so_only_in_what_reads_the_names_of_cgroups() -> None:
    """jobstats' exporter has it as the job; treydock's only in the path, CEEMS not at all; prologs say the number."""
    name = sluid(0xBC064B4483EA1000)
    assert name == "sBR1JB8J1YM400", "as Slurm's own tests have it"
    jobs = [CPU, replace(BUSY, sluid=name)]
    assert by(plazonic(jobs, V2), "cgroup_cpu_total_seconds", "jobid").keys() == {"64", name}
    other = treydock(jobs, V2)
    assert f"/system.slice/slurmstepd.scope/{name}" in by(other, "cgroup_cpu_total_seconds", "cgroup")
    assert by(other, "cgroup_info", "jobid").keys() == {"64"}
    assert by(ceems(jobs), "ceems_compute_unit_cpus", "uuid").keys() == {"64"}
    assert {labels["hpc_job"] for labels, _ in of(dcgm_exporter(now(jobs), Spelling()), "DCGM_FI_DEV_FB_USED")
            if "hpc_job" in labels} == {"67"}  # fmt: skip


def test_gpus_do_the_same_in_every_exporters_units() -> None:
    """Of four boards job 67 has 0 and 2, a silent job 3, and nobody 1."""
    shown, used, watts = now(), [90.0, 0.0, 40.0, 0.0], [320.0, 50.0, 170.0, 50.0]
    mib = [30 * 1024, 0, 30 * 1024, 0]
    nvidia, dcgm, amd = nvidia_gpu_exporter(shown), dcgm_exporter(shown, Spelling()), device_metrics_exporter(shown)
    smi, omni = amd_smi_exporter(shown), generate_latest(_Families(shown)).decode()

    for page, metric, label, factor in (
        (nvidia, "nvidia_gpu_duty_cycle", "ordinal", 1.0), (dcgm, "DCGM_FI_DEV_GPU_UTIL", "gpu", 1.0),
        (dcgm, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "gpu", 100), (amd, "gpu_gfx_activity", "gpu_id", 1),
        (smi, "amd_gpu_use_percent", "gpu_use_percent", 1), (omni, "rocm_utilization_percentage", "card", 1),
    ):  # fmt: skip
        assert of_boards(page, metric, label, factor) == pytest.approx(used), metric
    for page, metric, label, factor in (
        (nvidia, "nvidia_gpu_power_usage_milliwatts", "ordinal", 1e-3), (dcgm, "DCGM_FI_DEV_POWER_USAGE", "gpu", 1),
        (amd, "gpu_power_usage", "gpu_id", 1), (smi, "amd_gpu_power", "gpu_power", 1e-6),
        (omni, "rocm_average_socket_power_watts", "card", 1),
    ):  # fmt: skip
        assert of_boards(page, metric, label, factor) == pytest.approx(watts), metric
    assert of_boards(nvidia, "nvidia_gpu_memory_used_bytes", "ordinal", 1 / MIB) == mib
    assert of_boards(dcgm, "DCGM_FI_DEV_FB_USED", "gpu") == of_boards(amd, "gpu_used_vram", "gpu_id") == mib
    assert of_boards(omni, "rocm_vram_used_percentage", "card") == pytest.approx([75.0, 0, 75.0, 0])


def of_boards(page: str, metric: str, label: str, factor: float = 1.0) -> list[float]:
    """Give the values of the boards 0 to 3."""
    return [factor * value for _, value in sorted(by(page, metric, label).items())]


class _Families:
    """What the encoder takes for a registry."""

    def __init__(self, shown: list[Unit]) -> None:
        self.collect = lambda: omnistat(shown, JOBS)


def test_each_exporter_of_gpus_says_in_its_way_whose_they_are() -> None:
    shown = now()
    wanted = {"0": "67", "2": "67", "3": "70"}
    for page, metric, board, job in (
        (nvidia_gpu_exporter(shown), "nvidia_gpu_duty_cycle", "ordinal", "jobid"),
        (dcgm_exporter(shown, Spelling()), "DCGM_FI_DEV_FB_USED", "gpu", "hpc_job"),
        (device_metrics_exporter(shown), "gpu_gfx_activity", "gpu_id", "job_id"),
        (ceems(), "ceems_compute_unit_gpu_index_flag", "index", "uuid"),
    ):
        assert {labels[board]: labels[job] for labels, _ in of(page, metric) if labels.get(job)} == wanted
    old = nvidia_gpu_exporter(shown, style=Style.VALUE)
    assert by(old, "nvidia_gpu_jobId", "ordinal") == {"0": 67, "1": 0, "2": 67, "3": 70}
    omni = generate_latest(_Families(shown)).decode()
    assert len(by(omni, "rmsjob_info", "jobid")) == 1, "one job for the whole node"


SLICES = (Device(0, Slice(1, "3g.20gb", 3 / 7)), Device(0, Slice(5, "2g.10gb", 2 / 7)), Device(1))


def on_slices() -> list[Unit]:
    first = job(80, Behaviour(gpu=(70.0,), gpu_memory=4 * GIB), 2, 0)
    second = job(81, Behaviour(gpu=(35.0,), gpu_memory=2 * GIB), 2, 1)
    return now([first, second], SLICES)


def test_power_of_a_board_is_repeated_for_its_slices_and_is_0_for_amds_later_partitions() -> None:
    watts = 50 + 3 * (70 * 3 / 7 + 35 * 2 / 7)
    shown = on_slices()
    nvidia, dcgm = nvidia_gpu_exporter(shown), dcgm_exporter(shown, Spelling())
    milliwatts = of(nvidia, "nvidia_gpu_power_usage_milliwatts")
    power = {labels["uuid"][:4] + labels["GPU_I_ID"]: value for labels, value in milliwatts if labels["ordinal"] == "0"}
    assert power == pytest.approx(dict.fromkeys(("GPU-", "MIG-1", "MIG-5"), 1000 * watts))
    assert [value for _, value in of(dcgm, "DCGM_FI_DEV_POWER_USAGE")] == pytest.approx([watts, watts, 50])
    assert [labels["UUID"] for labels, _ in of(dcgm, "DCGM_FI_DEV_POWER_USAGE")][:2] == [shown[0].board_uuid] * 2
    amd = of(device_metrics_exporter(shown), "gpu_power_usage")
    assert [(labels["gpu_partition_id"], value) for labels, value in amd] == [
        ("0", pytest.approx(watts)),
        ("1", 0),
        ("0", 50),
    ]


def test_a_board_in_mig_mode_has_no_utilisation_but_its_slices_profiling_fields_have() -> None:
    shown = on_slices()
    assert [labels["ordinal"] for labels, _ in of(nvidia_gpu_exporter(shown), "nvidia_gpu_duty_cycle")] == ["1"]
    gpm = of(nvidia_gpu_exporter(shown, gpm=True), "nvidia_gpu_graphics_util_percent")
    assert {labels["GPU_I_ID"]: value for labels, value in gpm if labels["ordinal"] == "0" and labels["GPU_I_ID"]} == {
        "1": 0.7, "5": 0.35,
    }  # fmt: skip
    dcgm = dcgm_exporter(shown, Spelling())
    assert [labels["gpu"] for labels, _ in of(dcgm, "DCGM_FI_DEV_GPU_UTIL")] == ["1"]
    assert by(dcgm, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "hpc_job") == {"80": 0.7, "81": 0.35}
    assert "DCGM_FI_PROF_GR_ENGINE_ACTIVE" not in shape(dcgm_exporter(shown, Spelling(profiling=False)))


def test_slices_without_files_of_their_own_have_every_job_of_their_board() -> None:
    page = dcgm_exporter(on_slices(), Spelling(slices_named=False))
    found = [
        (labels["GPU_I_ID"], labels["hpc_job"]) for labels, _ in of(page, "DCGM_FI_DEV_FB_USED") if "hpc_job" in labels
    ]
    assert found == [("1", "80"), ("1", "81"), ("5", "80"), ("5", "81")]


def test_a_shared_gpu_has_its_value_once_for_each_job_and_shares_that_add_up() -> None:
    """dcgm-exporter repeats it, CEEMS says the shares, and the others have only the job that started last."""
    behaviour = Behaviour(gpu=(30.0,), gpu_memory=GIB)
    first = replace(job(90, behaviour, 2, 1), gpu_share=0.25)
    second = replace(job(91, behaviour, 2, 1, elapsed=60.0), gpu_share=0.75)
    shown = now([second, first])
    used: defaultdict[str, list[float]] = defaultdict(list)
    for labels, value in of(dcgm_exporter(shown, Spelling()), "DCGM_FI_DEV_GPU_UTIL"):
        used[labels["gpu"]].append(value)
    assert used == {"0": [0], "1": [60, 60], "2": [0], "3": [0]}
    flags = of(ceems([first, second]), "ceems_compute_unit_gpu_index_flag")
    assert {labels["uuid"]: value for labels, value in flags} == {"90": 0.25, "91": 0.75}
    assert {labels["gpuuuid"] for labels, _ in flags} == {shown[1].board_uuid}
    assert of(nvidia_gpu_exporter(shown), "nvidia_gpu_jobId")[0][1] == 91
    amd = of(device_metrics_exporter(shown), "gpu_gfx_activity")
    assert [labels["job_id"] for labels, _ in amd if labels["gpu_id"] == "1"] == ["91"]


def test_a_gpu_whose_file_the_epilog_empties_is_not_shown_at_all() -> None:
    page = dcgm_exporter(now(), Spelling(emptied=True))
    assert [labels["gpu"] for labels, _ in of(page, "DCGM_FI_DEV_POWER_USAGE")] == ["0", "2", "3"]


def test_a_line_of_dcgm_exporter_is_as_its_renderer_has_it() -> None:
    shown = now()[:1]
    start = f'gpu="0",UUID="{shown[0].board_uuid}",pci_bus_id="00000000:10:00.0",device="nvidia0"'
    start += ',modelName="NVIDIA A100-SXM4-40GB"'
    end = 'DCGM_FI_DRIVER_VERSION="550.54.15",hpc_job="67"'
    lines = dcgm_exporter(shown, Spelling()).splitlines()
    assert f'DCGM_FI_DEV_FB_USED{{{start},Hostname="node07",{end}}} 30720' in lines
    assert f'DCGM_FI_DEV_POWER_USAGE{{{start},Hostname="node07",{end}}} 320.000000' in lines
    newer = dcgm_exporter(shown, Spelling(hostname="hostname", uuid="uuid"))
    assert {"hostname", "uuid"} <= set(of(newer, "DCGM_FI_DEV_FB_USED")[0][0])
    pod = {"pod": "train-0", "namespace": "ml", "container": "main"}
    assert of(dcgm_exporter(shown, Spelling(), {0: pod}), "DCGM_FI_DEV_FB_USED")[0][0].items() >= pod.items()


def test_energy_of_boards_and_of_hosts_never_falls() -> None:
    """A job that ends takes nothing away of what was drawn."""
    meter = Meter()
    units(NODE, boards(4), [], meter, 0.0)
    units(NODE, boards(4), [BUSY], meter, 10.0)
    last = units(NODE, boards(4), [], meter, 20.0)[:1]
    assert of(dcgm_exporter(last, Spelling()), "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")[0][1] == 1000 * (
        320 * 10 + 50 * 10
    )
    assert of(device_metrics_exporter(last), "gpu_energy_consumed")[0][1] == 1e6 * (320 * 10 + 50 * 10)
    host = Host(NODE, Meter(), 0.0, frozenset(PowerMeter))
    ceems_exporter(host, JOBS, now())
    later = ceems_exporter(replace(host, at=10.0), JOBS, now())
    watts, joules = (by(later, f"ceems_cray_pm_counters_{what}", "domain") for what in ("power_watts", "energy_joules"))
    assert joules == pytest.approx({domain: 10 * drawn for domain, drawn in watts.items()})
    assert watts["node"] == pytest.approx(sum(drawn for domain, drawn in watts.items() if domain != "node"))
    assert (
        watts["node"]
        == of(later, "ceems_redfish_current_watts")[0][1]
        == of(later, "ceems_ipmi_dcmi_current_watts")[0][1]
    )


# By their sources: none was run (ceems_exporter's labels are of its own end-to-end outputs).
_DME = {
    "card_model", "container=", "gpu_compute_partition_type", "gpu_id", "gpu_memory_partition_type", "gpu_partition_id",
    "hostname", "namespace=", "pod=", "serial_number",
}  # fmt: skip
_OF_JOB = {"job_id", "job_partition", "job_user"}
_CEEMS = {"cgrouphostname=", "hostname", "manager", "uuid"}


@pytest.mark.parametrize(("page", "metric", "kind", "labels"), [
    (device_metrics_exporter(now([BUSY])[:1]), "gpu_power_usage", "gauge", _DME | _OF_JOB),
    (device_metrics_exporter(now([]), prefix="amd_", profiler=True), "amd_gpu_prof_sm_active", "gauge",
     _DME | {f"{label}=" for label in _OF_JOB}),
    (device_metrics_exporter(now([]), job_labels=False), "gpu_energy_consumed", "gauge", _DME),
    (amd_smi_exporter(now()), "amd_gpu_power", "counter", {"gpu_power", "productname"}),
    (amd_smi_exporter(now(), older=True), "amd_gpu_power_avg", "counter", {"gpu_power_avg"}),
    (amd_smi_exporter(now()), "amd_gpu_use_percent", "gauge", {"gpu_use_percent", "productname"}),
    (generate_latest(_Families(now())).decode(), "rocm_energy_joules", "gauge", {"card"}),
    (generate_latest(_Families(now())).decode(), "rocm_average_socket_power_watts", "gauge", {"card", "source"}),
    (ceems(), "ceems_compute_unit_memory_rss_bytes", "gauge", _CEEMS),
    (ceems(), "ceems_compute_unit_cpu_user_seconds_total", "counter", _CEEMS),
    (ceems(), "ceems_compute_unit_gpu_index_flag", "gauge", _CEEMS | {"gpuiid=", "gpuuuid", "hindex", "index"}),
    (ceems(cgrouphostname=False), "ceems_compute_unit_cpus", "gauge", _CEEMS - {"cgrouphostname="}),
    (ceems(), "ceems_rapl_package_joules_total", "counter", {"hostname", "index", "path"}),
    (ceems(meters={PowerMeter.REDFISH}), "ceems_redfish_current_watts", "gauge", {"chassis", "hostname"}),
])  # fmt: skip
def test_a_metric_has_the_type_and_labels_that_its_source_gives_it(
    page: str, metric: str, kind: str, labels: set[str]
) -> None:
    assert shape(page)[metric] == (kind, {tuple(sorted(labels))})


def test_which_gpus_a_job_has_is_read_from_slurmctld() -> None:
    """And its uid and partition, which some exporters show."""
    text = """JobId=66 JobName=x
   UserId=carol(1003) GroupId=carol(1003)
   Priority=1 Nice=0 Account=def-bio QOS=normal
   JobState=RUNNING Reason=None
   StartTime=2026-01-01T00:00:00 EndTime=Unknown
   Partition=gpu AllocNode:Sid=login01:1
     Nodes=node07 CPU_IDs=0-3 Mem=4000 GRES=gpu:a100:3(IDX:0-1,3)
     Nodes=node08 CPU_IDs=2 Mem=1000 GRES=
"""
    (found,) = parse_jobs(text)
    assert (found.uid, found.partition) == (1003, "gpu")
    assert {node: share.gpu_indices for node, share in found.nodes.items()} == {"node07": (0, 1, 3), "node08": ()}
