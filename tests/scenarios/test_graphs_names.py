"""Every number can be explained: its source is what the site calls it."""

from typing import Any

import pytest

from tests.scenarios.site import Site


def sources(data: Any) -> set[str]:
    """Give every `source` in an answer."""
    if isinstance(data, dict):
        own = {data["source"]} if isinstance(data.get("source"), str) and "value" in data else set()
        return own.union(*map(sources, data.values()))
    return set().union(*map(sources, data)) if isinstance(data, list) else set()


@pytest.mark.parametrize("renamed", [True, False])
def test_a_value_s_source_is_the_metric_as_the_site_stores_it(site: Site, renamed: bool) -> None:
    """By the metric's name, or by that of one input."""
    names = {"slurm_job_core_usage_total": "site:cores", "memory_bytes": "site:resident"} if renamed else {}
    site.use_exporters(slurm_job_exporter={"metrics": names})
    site.job(500)
    site.samples.job(500, busy=0.75)
    if renamed:
        rename(site, {"slurm_job_core_usage_total": "site:cores", "slurm_job_memory_rss": "site:resident"})
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    said = set()
    for path in ("/jobs/500", "/jobs", "/users/ann", "/accounts/phys", ""):
        said |= sources(site.data(path))
    said |= sources(site.service.data("/api/v1/clusters"))
    text = " ".join(said)
    assert ("site:cores" in text, "site:resident" in text) == (renamed, renamed)
    assert ("slurm_job_core_usage_total" in text, "slurm_job_memory_rss" in text) == (not renamed, not renamed)
    assert "slurm_job_memory_max" in text


def rename(site: Site, names: dict[str, str]) -> None:
    for labels, _ in site.samples.series:
        labels["__name__"] = names.get(labels["__name__"], labels["__name__"])
