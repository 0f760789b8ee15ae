"""The whole page of a fixed snapshot; `pytest --update-golden` rewrites it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from scrape import make_page

from aggregator.exposition import ServiceMetrics
from aggregator.model.view import ClusterView, Snapshot
from tests.builders import NOW, make_status, rich_cluster
from tests.clouds import rich_cloud
from tests.lab.packages import promtool
from tests.spaces import make_filesystem, rich_filesystem

GOLDEN = Path(__file__).parent / "golden" / "metrics.prom"
CLUSTER, FILESYSTEM = rich_cluster(("alice", 'o"brien\n')), rich_filesystem(("def-kim", "78901"))
CLOUD = rich_cloud(("def-kim-dev", 'it"s\n🦙'))


def check_with_promtool(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool(), "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=30
    )  # fmt: skip


async def test_the_page_is_the_golden_one(scrape: Any, update_golden: bool) -> None:
    body, _ = await scrape(make_page([CLUSTER, FILESYSTEM, CLOUD]))
    if update_golden:
        GOLDEN.write_text(body)
    assert body == GOLDEN.read_text()


def test_promtool_has_nothing_to_say_about_the_golden_page() -> None:
    result = check_with_promtool(GOLDEN.read_text())
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


async def test_promtool_has_nothing_to_say_about_the_service_families(scrape: Any) -> None:
    snapshot = Snapshot(
        clusters={"narval": ClusterView("narval", NOW)},
        filesystems={"project": make_filesystem()},
        sources={
            ("slurmacct", "narval"): make_status(features={"het_job_id": True}),
            ("prometheus", "narval"): make_status(
                source="prometheus", up=False, failed_inputs={"cpus": "x"}, rejected={"job id is not a number": 3}
            ),
            ("robinhood", "project"): make_status(source="robinhood", scope="project", last_success=None),
        },
    )
    metrics = ServiceMetrics(lambda: snapshot, lambda: {"hpc_job_info": 3}, now=NOW)
    metrics.observe_fetch("robinhood", "project", 0.5)
    metrics.observe_request("/metrics", "GET", "200", 0.01)
    metrics.observe_stage("narval", "", "join", 0.25)
    body, _ = await scrape(make_page([], metrics.registry))
    assert 'hpc_aggregator_source_up{cluster="narval",filesystem="",source="prometheus"} 0.0' in body
    assert "hpc_aggregator_rejected_values_total{" in body
    assert 'hpc_aggregator_source_up{cluster="",filesystem="project",source="robinhood"} 1.0' in body
    assert 'hpc_aggregator_refresh_duration_seconds{cluster="narval",filesystem="",stage="join"} 0.25' in body
    result = check_with_promtool(body)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_promtool_would_notice() -> None:
    assert check_with_promtool("# TYPE x_total gauge\nx_total 1\n").returncode != 0


@pytest.mark.parametrize("word", ["NaN", "None", "null"])
def test_the_golden_page_has_no_value_that_is_not_known(word: str) -> None:
    assert f" {word}\n" not in GOLDEN.read_text()
