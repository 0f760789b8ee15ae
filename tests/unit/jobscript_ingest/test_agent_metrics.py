"""The agent's own metrics: named as Prometheus names them, absent where nothing is known, without anybody's data."""

import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.rules import load_rules
from jobscript_ingest.script import Version
from jobscript_ingest.spool import Spool
from jobscript_ingest.web import answers
from tests.unit.jobscript_ingest.builders import make_script


@pytest.fixture
async def client(metrics: AgentMetrics, aiohttp_client: Any, aiohttp_raw_server: Any) -> Any:
    return await aiohttp_client(await aiohttp_raw_server(answers(metrics.registry)))


async def families(client: Any) -> dict[str, Any]:
    page = await (await client.get("/metrics")).text()
    return {family.name: family for family in text_string_to_metric_families(page)}


async def test_what_did_not_happen_yet_has_no_time(client: Any) -> None:
    """A timestamp of 0 would be an age of fifty years."""
    found = await families(client)

    for name in ("last_success_timestamp_seconds", "last_scan_timestamp_seconds", "oldest_unsent_timestamp_seconds"):
        assert found[f"hpc_jobscript_ingest_{name}"].samples == []


async def test_counters_are_there_before_they_count(client: Any) -> None:
    found = await families(client)

    assert [sample.value for sample in found["hpc_jobscript_ingest_scripts_sent"].samples] == [0.0]
    rules = {sample.labels["rule"] for sample in found["hpc_jobscript_ingest_redactions"].samples}
    assert rules == {rule.name for rule in load_rules()}


async def test_the_spool_is_told_as_it_is(client: Any, spool: Spool) -> None:
    for job_id in (1, 2, 3):
        spool.add(make_script(job_id, b"12345"), Version(1, 2, 3))
    spool.refuse({make_script(2, b"12345").key: "a reason"})

    found = await families(client)

    scripts = {item.labels["state"]: item.value for item in found["hpc_jobscript_ingest_spool_scripts"].samples}
    assert scripts == {"unsent": 2, "refused": 1}
    assert found["hpc_jobscript_ingest_spool_bytes"].samples[0].value == 15
    assert found["hpc_jobscript_ingest_oldest_unsent_timestamp_seconds"].samples[0].value > 1.6e9


async def test_a_spool_that_cannot_be_read_leaves_the_rest(client: Any, spool: Spool) -> None:
    spool.close()

    found = await families(client)

    assert "hpc_jobscript_ingest_spool_bytes" not in found
    assert "hpc_jobscript_ingest_send_failures" in found
    spool.open()


async def test_names_end_in_total_for_counters_alone(metrics: AgentMetrics) -> None:
    for family in metrics.registry.collect():
        assert re.fullmatch(r"(hpc_jobscript_ingest|process)_[a-z_]+", family.name)
        assert not family.name.endswith("_total")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")


async def test_openmetrics_is_answered_to_who_asks(client: Any) -> None:
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert (await answer.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/-/healthy", 200), ("HEAD", "/metrics", 200), ("GET", "/", 404), ("GET", "/metrics/", 404),
     ("GET", "/../metrics%00", 404), ("POST", "/metrics", 405), ("DELETE", "/-/healthy", 405)],
)  # fmt: skip
async def test_there_are_two_pages_to_be_read(client: Any, method: str, path: str, status: int) -> None:
    response = await client.request(method, path)
    assert response.status == status
    assert (await response.read() == b"") is (method == "HEAD")
