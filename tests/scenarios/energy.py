"""What the scenarios of energy share: a site with all power exporters, and the ledger's answers."""

from typing import Any

from tests.scenarios.site import Site

EXPORTERS = ("slurm_job_exporter", "node_exporter", "redfish_exporter", "dcgm_exporter")
GPU = {"tres_alloc": "1=4,2=8000,4=1,5=4,1001=1,1002=1", "tres_req": "1=4,2=8000,4=1,1001=1"}


def gpus(count: int) -> dict[str, str]:
    """Give the columns of a job that holds so many GPUs."""
    return {name: text.replace("=1,1002=1", f"={count},1002={count}").replace("1001=1", f"1001={count}")
            for name, text in GPU.items()}  # fmt: skip


def node_watts(site: Site, node: str = "node01") -> float | None:
    """Give the power of a node, its components added up; None where it is not known."""
    found = site.samples_of("hpc_node_power_watts", node=node)
    return sum(found.values()) if found else None


def add_up(site: Site, seconds: float) -> None:
    """Wait until the ledger's last closed window ends so many seconds after the samples' zero."""
    name = "hpc_aggregator_ledger_window_timestamp_seconds"
    site.wait(
        lambda: (site.value(name, cluster=site.cluster) or 0.0) >= site.samples.zero + seconds,
        "a closed window", timeout=60.0,
    )  # fmt: skip
    site.refreshed(2)


def energy(site: Site, job_id: int) -> Any:
    """Give what the API says of a job, its energy among it."""
    return site.data(f"/jobs/{job_id}")["runs"][0]


def sums(site: Site, what: str) -> dict[str, float]:
    """Add up jobs, users, accounts, the nodes' and the cluster's `jobs` part of one scrape: `energy` or `power`."""
    kind = {"energy": "energy_joules_total", "power": "power_watts"}[what]
    families = site.service.families()

    def total(name: str, **labels: str) -> float:
        family = families.get(name.removesuffix("_total"))
        wanted = {"cluster": site.cluster, **labels}
        found = family.samples if family else []
        return sum(sample.value for sample in found if sample.name == name and wanted.items() <= sample.labels.items())

    return {
        "jobs": total(f"hpc_job_{kind}"),
        "users": total(f"hpc_user_{kind}"),
        "accounts": total(f"hpc_account_{kind}"),
        "nodes": total(f"hpc_node_{kind}", component="jobs"),
        "cluster": total(f"hpc_cluster_{kind}", component="jobs"),
    }
