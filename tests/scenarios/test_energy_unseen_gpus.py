"""GPUs that a job holds and has not opened draw power, too: it is the job's."""

import pytest

from tests.scenarios.energy import EXPORTERS, add_up, gpus
from tests.scenarios.site import Site


def boards(site: Site, *watts: float) -> None:
    """Let dcgm-exporter show boards, and the BMC 100 W more than they draw."""
    for index, each in enumerate(watts):
        labels = {"instance": "node01:9400", "job": "dcgm", "gpu": str(index), "UUID": f"GPU-{index}"}
        site.samples.add("DCGM_FI_DEV_POWER_USAGE", each, **labels)
    site.samples.chassis("node01", 100.0 + sum(watts), chassis_id="1")
    site.samples.exporter("node01")
    site.samples.host("node01", cpus=8, busy=0.5)
    site.use_exporters(*EXPORTERS)


def gpu_watts(site: Site, job_id: int) -> float | None:
    return site.value("hpc_job_power_watts", slurmjobid=job_id, component="gpu")


@pytest.mark.parametrize(("held", "watts"), [(4, 250.0 + 3 * 50.0), (2, 250.0 + 50.0), (1, 250.0)])
def test_a_job_has_the_power_of_the_boards_that_it_has_not_opened(site: Site, held: int, watts: float) -> None:
    boards(site, 250.0, 50.0, 50.0, 50.0)
    site.job(500, **gpus(held))
    site.samples.job(500)
    site.samples.gpu(500, "0", watts=250.0)
    site.start(until=lambda: gpu_watts(site, 500))
    add_up(site, 4.0)
    assert gpu_watts(site, 500) == pytest.approx(watts)
    idle = site.value("hpc_node_power_watts", node="node01", component="idle")
    assert idle is not None
    assert idle >= (4 - held) * 50.0 - 0.01
