"""How a job was judged, and what each of its numbers is made of."""

from pathlib import Path
from string import Template
from typing import Any

import pytest

from aggregator.api.tokens.store import TokenStore
from aggregator.app.layouts import CLUSTERS
from aggregator.engine.part import Inputs
from aggregator.model.accounting import JobState
from aggregator.model.question import ByInput, Question, Questions
from aggregator.model.waste import Condition, Level
from aggregator.parts.waste.observation import Observation
from aggregator.parts.waste.rules import compile_rules
from aggregator.sources.prometheus import ExporterSettings, NodeNames
from aggregator.sources.prometheus.asking import inputs_of_jobs
from aggregator.sources.prometheus.catalogue import PROVIDERS
from aggregator.sources.slurmacct.statements import question
from tests.builders import HOSTILE_NAMES, make_rule

from .builders import FETCH_ERROR, JOBS, NOW, make_job, make_run, make_status, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

EXPLAIN = f"{JOBS}/101/explain"
AT = NOW - 10
RULE = make_rule(
    levels=(Level("critical", (Condition("cpus_allocated", ">=", 1.0),)),),
    conditions=(Condition("gpus_observed", ">", 0.0),),
)


def asked(at: float = AT, **settings: Any) -> ByInput:
    """Say what a refresh asks a site whose exporter has these settings."""
    provides, matchers = PROVIDERS["slurm_job_exporter"], {"cluster": 'nar"val'}
    inputs = dict(inputs_of_jobs("slurm_job_exporter", provides, matchers, ExporterSettings(**settings), NodeNames()))
    return {"slurmacct": (question("`narval_job_table`", AT),),
            "ledger": (Question("ledger", "ledger_run: closed windows", NOW - 70),),
            **{name: (each.question(at),) for name, each in inputs.items()}}  # fmt: skip


def publish(service: Service, *jobs: Any, questions: ByInput | None = None, **view: Any) -> None:
    context = Inputs(compile_rules([RULE]), Observation(), Questions(asked() if questions is None else questions))
    publish_jobs(service.store, *jobs, rules=[RULE], context=context, **view)


async def values(service: Service, path: str = EXPLAIN) -> dict[str, Any]:
    return {each["name"]: each for each in (await service.data(path))["values"]}


async def queries(service: Service, path: str = EXPLAIN) -> dict[str, Any]:
    return {each["input"]: each for each in (await service.data(path))["queries"]}


async def test_a_rule_shows_what_it_compares_and_its_result(service: Service) -> None:
    publish(service, make_job())
    data = await service.data(EXPLAIN)
    assert data["verdict"] == "Job 101 is accused of holds (critical): it holds a CPU."
    (rule,) = data["rules"]
    assert (rule["result"], rule["applies"], rule["minimum_runtime_seconds"], rule["better"]) == (
        "critical", True, 1800.0, [],
    )  # fmt: skip
    assert rule["levels"] == [{"severity": "critical", "conditions": [
        {"field": "cpus_allocated", "meaning": "CPUs that it holds", "value": 4.0, "unit": "cpus", "coverage": 1.0,
         "least_coverage": 0.8, "operator": ">=", "threshold": 1.0, "holds": True, "because": None}]}]  # fmt: skip
    assert [each["field"] for each in rule["conditions"]] == ["gpus_observed"]


async def test_a_value_has_unit_coverage_meaning_and_the_query_that_gives_it(service: Service) -> None:
    publish(service, make_job())
    used = (await values(service))["used_cpus"]
    text = used.pop("promql")
    assert used == {
        "name": "used_cpus", "value": 1.5, "unit": "cpus", "coverage": 1.0, "null": None, "inputs": ["cpus"],
        "meaning": "CPUs busy now, without time that a hypervisor has stolen.",
        "formula": "slurm-job-exporter deriv(slurm_job_core_usage_total)",
    }  # fmt: skip
    picked = 'cluster="nar\\"val",slurmjobid="101",instance=~"(?i)(n1)'
    assert text.startswith("sum((sum by ")
    assert text.endswith("* 1e-09 >= 0 <= 100000)")
    assert text.count(picked) == 2


async def test_each_input_says_what_was_sent_and_of_when(service: Service) -> None:
    publish(service, make_job())
    found = await queries(service)
    cpus = found["cpus"]
    assert cpus["query"] == asked()["cpus"][0].text
    assert 'cluster="nar\\"val"' in cpus["query"]
    assert "slurmjobid=" not in cpus["query"]
    assert (cpus["evaluated_timestamp_seconds"], cpus["age_seconds"], cpus["recorded"]) == (AT, 10.0, False)
    assert cpus["evaluated_time"] == "2023-11-14T22:13:10Z"
    assert (found["slurmacct"]["query"], found["slurmacct"]["job_query"]) == (
        "rows of `narval_job_table`", "SELECT * FROM `narval_job_table` WHERE id_job=101 AND deleted=0",
    )  # fmt: skip
    assert found["ledger"]["age_seconds"] == 70.0
    assert found["gpu_nodes"] == {"input": "gpu_nodes", "source": None, "query": None,
                                  "because": "not read: its source is not configured, or does not answer"}  # fmt: skip


async def test_the_sites_own_names_are_in_the_queries(service: Service) -> None:
    own = asked(metrics={"slurm_job_memory_rss": "rss"}, labels={"slurmjobid": "jobid"})
    publish(service, make_job(), questions=own)
    text = (await values(service))["memory_used_bytes"]["promql"]
    assert text.startswith('sum((max by (jobid, instance) (rss{cluster="nar\\"val",jobid="101"')


async def test_every_query_of_a_value_is_made_of_inputs_and_columns_that_there_are() -> None:
    columns = {column.name: column for column in CLUSTERS.tables["jobs"].columns}
    for column in columns.values():
        for name in Template(column.promql).get_identifiers():
            assert name.removeprefix("every_") in (*column.inputs, *columns), column.name
        assert column.coverage in ("", *columns)


async def test_what_is_not_known_says_what_that_means_and_has_no_query(service: Service) -> None:
    publish(service, make_job(use={"used_cpus": None, "gpus_observed": 0.0}))
    found = await values(service)
    assert (found["used_cpus"]["value"], found["used_cpus"]["null"], found["used_cpus"]["promql"]) == (
        None, "not known", None,
    )  # fmt: skip
    assert found["gpus_observed"]["value"] == 0.0


async def test_of_two_exporters_that_show_one_thing_no_query_gives_the_value(service: Service) -> None:
    one = asked()
    publish(service, make_job(), questions={**one, "gpu_utilization": one["gpu_utilization"] * 2})
    data = await service.data(EXPLAIN)
    assert [each["input"] for each in data["queries"]].count("gpu_utilization") == 2
    assert {each["name"]: each for each in data["values"]}["gpus_busy"]["promql"] is None


async def test_a_pending_job_is_not_judged_and_uses_nothing(service: Service) -> None:
    publish(service, make_job(state=JobState.PENDING, start=None, use={}))
    data = await service.data(EXPLAIN)
    assert data["verdict"] == "Job 101 is not judged: it has not started."
    assert data["rules"][0]["applies"] is False
    assert {each["promql"] for each in data["values"]} == {None}


async def test_of_an_ended_run_the_use_is_of_no_known_time(service: Service) -> None:
    publish(service, make_job(state=JobState.COMPLETED, end=NOW - 100))
    found = await queries(service)
    ended = (None, "the run has ended: its last values were kept")
    assert (found["cpus"]["evaluated_timestamp_seconds"], found["cpus"]["because"]) == ended
    assert (found["slurmacct"]["evaluated_timestamp_seconds"], found["slurmacct"]["because"]) == (AT, None)
    assert (await values(service))["used_cpus"]["promql"] is None
    assert (await service.data(EXPLAIN))["verdict"] == "Job 101 is not judged: it has ended."


async def test_a_run_that_only_slurmacct_knows_is_explained_with_what_was_kept(service: Service) -> None:
    publish(service)
    service.reader.runs = (make_run(run_id=8, state=JobState.COMPLETED, end=NOW - 90_000),)
    service.kept.kept = {8: {"used_cpus": 3.5, "cpu_coverage_ratio": 1.0, "cpu_efficiency_ratio": 0.9}}
    data = await service.data(EXPLAIN)
    assert data["verdict"] == "Job 101 is not judged: it is not among the running jobs."
    assert data["rules"][0]["levels"][0]["conditions"][0]["holds"] is True
    used = next(each for each in data["values"] if each["name"] == "used_cpus")
    assert (used["value"], used["coverage"], used["promql"]) == (3.5, 1.0, None)
    (row,) = (each for each in data["queries"] if each["input"] == "slurmacct")
    assert row["because"] == "read for this answer, or some seconds before"


@pytest.mark.parametrize(("other", "newest"), [(9000, "60"), (5, "70")])
async def test_the_newest_run_of_an_id_is_explained_wherever_it_is_known(
    service: Service, other: int, newest: str
) -> None:
    publish(service, make_job(run_id=60))
    service.reader.runs = (make_run(run_id=70, submit=NOW - other), make_run(run_id=60))
    assert (await service.data(EXPLAIN))["run_id"] == newest


async def test_an_array_means_its_newest_task(service: Service) -> None:
    tasks = (make_job(130 + task, array_job_id=130, array_task_id=task) for task in (1, 2))
    publish(service, *tasks)
    assert (await service.data(f"{JOBS}/130/explain"))["id"] == "130_2"
    assert (await service.data(f"{JOBS}/130_1/explain"))["id"] == "130_1"


async def test_prometheus_that_is_down_is_said_and_its_inputs_have_no_query(service: Service) -> None:
    context = Inputs(compile_rules([RULE]), Observation(reachable=False), Questions({}))
    publish_jobs(service.store, make_job(use={}), rules=[RULE], context=context)
    service.store.publish_source(make_status("prometheus", up=False, last_success=NOW - 90, error="connection refused"))
    body = await (await service.get(EXPLAIN)).json()
    assert body["data"]["rules"][0]["conditions"][0]["because"] == "Prometheus could not be read"
    assert {each["query"] for each in body["data"]["queries"]} == {None}
    assert any("connection refused" in text for text in body["warnings"])


async def test_without_slurmacct_the_snapshots_run_is_better_than_none(service: Service) -> None:
    publish(service, make_job())
    service.reader.error = FETCH_ERROR
    body = await (await service.get(EXPLAIN)).json()
    assert body["data"]["job_id"] == 101
    assert body["warnings"] == [f"earlier runs may be missing: {FETCH_ERROR}"]
    assert await service.failure(f"{JOBS}/7/explain") == (503, "unavailable", str(FETCH_ERROR))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_a_hostile_name_is_shown_and_is_in_no_query(service: Service, name: str) -> None:
    publish(service, make_job(name=name, user='a"} or up #'))
    data = await service.data(EXPLAIN)
    assert next(each for each in data["values"] if each["name"] == "job_name")["value"] == name
    assert all('a"}' not in (each["promql"] or "") for each in data["values"])


async def test_who_may_not_see_the_job_is_told_that_there_is_none(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path
) -> None:
    service, file = idle_service, tmp_path / "tokens.yml"
    alice, bob = (bearer(make_token(file, user.ljust(8, "0"), "read:own", user=user)) for user in ("alice", "bob"))
    staff = bearer(make_token(file, "readall0", "read:all"))
    service.client = await aiohttp_client(service.app(tokens=TokenStore(file), open_areas=frozenset()))
    publish(service, make_job(user="alice"), members={"alice": ["def-kim"], "bob": ["def-kim"]})
    assert (await service.data(EXPLAIN, headers=alice))["user"] == "alice"
    assert (await service.data(EXPLAIN, headers=staff))["user"] == "alice"
    refused = await service.failure(EXPLAIN, headers=bob)
    assert refused == (404, "not_found", 'job 101: not known on cluster "narval"')
    assert refused == await service.failure(f"{JOBS}/101", headers=bob)
    assert (await service.failure(EXPLAIN))[0] == 401
