"""Every number can be explained: its series are named as the site stores them."""

import pytest

from tests.scenarios.site import Site


@pytest.mark.parametrize("renamed", [True, False])
def test_an_explanation_s_promql_names_the_series_as_the_site_stores_them(site: Site, renamed: bool) -> None:
    names = {"slurm_job_core_usage_total": "site:cores", "memory_bytes": "site:resident"} if renamed else {}
    site.use_exporters(slurm_job_exporter={"metrics": names})
    site.job(500)
    site.samples.job(500, busy=0.75)
    if renamed:
        rename(site, {"slurm_job_core_usage_total": "site:cores", "slurm_job_memory_rss": "site:resident"})
    site.start(until=lambda: site.value("hpc_job_used_cpus", slurmjobid=500))
    text = " ".join(each["promql"] or "" for each in site.data("/jobs/500/explain")["values"])
    assert ("site:cores" in text, "site:resident" in text) == (renamed, renamed)
    assert ("slurm_job_core_usage_total" in text, "slurm_job_memory_rss" in text) == (not renamed, not renamed)
    assert "slurm_job_memory_max" in text


def rename(site: Site, names: dict[str, str]) -> None:
    for labels, _ in site.samples.series:
        labels["__name__"] = names.get(labels["__name__"], labels["__name__"])
