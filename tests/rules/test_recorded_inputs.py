"""The service reads the same from recorded series as from its own expressions, on a real Prometheus."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from aggregator.model.job_inputs import Use
from aggregator.sources.prometheus import ExporterSettings, NodeNames, PrometheusClient, PrometheusUse
from aggregator.sources.prometheus.client import Endpoint
from aggregator.sources.prometheus.exporters.slurm_job_exporter import JOB_INPUTS
from aggregator.sources.prometheus.render import promql
from tests.lab.hasten import hastened_rules
from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.rules.contract import INPUTS
from tests.rules.files import RULES, backfill, rules
from tests.use import comparable, values_of

INTERVAL = 30.0
# More often than need be: there are samples for a slope also a minute later, on a slow machine too. Not in the
# future: Prometheus would not record before it.
STEP, PAST = 5, 900
NAME = "job_node:slurm_job_core_usage:deriv2m"
# A recording of half of the nodes, under the name that belongs to a scrape interval of 60 s.
HALF = {
    "record": "job_node:slurm_job_core_usage:deriv4m",
    "expr": INPUTS[NAME].replace("total[2m]", 'total{instance=~"n[0-4]:.*"}[4m]').replace("usage[2m]", "usage[4m]"),
}


def openmetrics(now: float) -> Iterator[str]:
    """Write jobs on two clusters: busy and idle ones, over nodes, some with a second account for a while."""
    dice = random.Random(0)
    seen = []
    yield "# TYPE slurm_job_core_usage counter"
    for job in range(30):
        cluster, accounts = dice.choice(("narval", "beluga")), dice.choice((("def-a",), ("def-a", "error")))
        for node in dice.sample(range(10), dice.randint(1, 3)):
            seen.append(f'cluster="{cluster}",instance="n{node}:9798",slurmjobid="{job}"')
            for core in range(dice.randint(1, 4)):
                used = 0
                for at in range(int(now) - PAST, int(now), STEP):
                    used += dice.randint(0, STEP) * 10**9
                    for account in accounts:
                        labels = f'cluster="{cluster}",instance="n{node}:9798",slurmjobid="{job}",core="{core}"'
                        yield f'slurm_job_core_usage_total{{{labels},user="u",account="{account}"}} {used} {at}'
    yield "# TYPE slurm_job_memory_usage gauge"
    for labels in seen:
        yield from (f"slurm_job_memory_usage{{{labels}}} 1 {at}" for at in range(int(now) - PAST, int(now), STEP))
    yield "# TYPE slurm_job_memory_rss gauge"
    for at in range(int(now) - PAST, int(now), STEP):
        yield f'slurm_job_memory_rss{{cluster="narval",instance="n1:9798",slurmjobid="1"}} {at} {at}'
    yield "# EOF\n"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    root = tmp_path_factory.mktemp("inputs")
    backfill(root, openmetrics(time.time()))
    half = root / "half.yml"
    half.write_text(yaml.safe_dump({"groups": [{"name": "half", "rules": [HALF]}]}))
    shipped = hastened_rules(RULES / "recording" / "hpc_inputs.yml", root, factor=60)
    server = PrometheusServer(root, rule_files=[shipped, half])
    server.start()
    try:
        wait_until(lambda: bool(server.query(NAME) and server.query(HALF["record"])), 60, "the recorded series")
        yield server
    finally:
        server.stop()


@pytest.fixture
def evaluated(prometheus: PrometheusServer) -> float:
    """When the rules were evaluated: all series of a rule have one time."""
    return max(float(one["value"][1]) for one in prometheus.query(f"timestamp({NAME})"))


def at_time(server: PrometheusServer, name: str, at: float) -> list[Any]:
    return server.query(f"{name} @ {at:.3f}")


class Reader:
    """Two services on one Prometheus, one of which has watched for long enough to trust recorded series."""

    def __init__(self, url: str, interval: float = INTERVAL, **matchers: str) -> None:
        self._settings = ExporterSettings(interval=interval)
        self._matchers = matchers or {"cluster": "narval"}
        self._url = url

    async def read(self, at: float) -> tuple[Use, Use, dict[str, bool]]:
        """Give what the expressions say, what the other service says, and which inputs that took from recordings."""
        client = PrometheusClient(Endpoint(key="prometheus", url=self._url))
        direct, watching = self._source(client), self._source(client)
        try:
            await watching.fetch(at - self._settings.rate_window - self._settings.recorded_age)
            return await direct.fetch(at), await watching.fetch(at), dict(watching.features)
        finally:
            await client.close()

    def _source(self, client: PrometheusClient) -> PrometheusUse:
        return PrometheusUse(client, self._matchers, {"slurm_job_exporter": self._settings}, NodeNames())


def flat(use: Use) -> dict[tuple[int, str], float]:
    """Give the CPUs by job id and node."""
    found = values_of(use, "cpus")
    assert found is not None
    return {(job, node): value for job, nodes in found.items() for node, value in nodes.items()}


def beside_cpus(use: Use) -> dict[str, Any]:
    """Give all of a fetch but the CPUs and over which time they were taken."""
    all_of_it = comparable(use)
    values = {name: found for name, found in all_of_it["values"].items() if name != "cpus"}
    return {**all_of_it, "values": values, "cpu_window": 0.0}


@pytest.mark.parametrize("cluster", ["narval", "beluga"])
async def test_both_services_read_the_same(prometheus: PrometheusServer, evaluated: float, cluster: str) -> None:
    direct, recorded, features = await Reader(prometheus.url, cluster=cluster).read(evaluated)
    assert features == {"recorded:cpus": True}
    assert len(flat(direct)) > 10
    assert flat(recorded) == pytest.approx(flat(direct), rel=1e-9)
    assert recorded.cpu_window == direct.cpu_window + 60.0
    assert beside_cpus(recorded) == beside_cpus(direct)


async def test_what_was_read_from_a_recording_can_be_asked_of_one_job(
    prometheus: PrometheusServer, evaluated: float
) -> None:
    direct, recorded, _ = await Reader(prometheus.url).read(evaluated)
    for use, is_recorded in ((direct, False), (recorded, True)):
        (asked,) = use.questions["cpus"]
        assert (asked.recorded, NAME in asked.text, asked.at) == (is_recorded, is_recorded, evaluated)
        assert asked.of_job is not None
        for job, nodes in (values_of(use, "cpus") or {}).items():
            (series,) = prometheus.query(f"sum({asked.of_job(job, tuple(nodes))})", evaluated)
            assert float(series["value"][1]) == pytest.approx(sum(nodes.values()), rel=1e-9)


async def test_rules_that_have_stopped_are_not_believed(prometheus: PrometheusServer) -> None:
    """Prometheus itself still gives a series for five minutes."""
    later = time.time() + 61
    assert at_time(prometheus, NAME, later)
    direct, recorded, features = await Reader(prometheus.url).read(later)
    assert features == {"recorded:cpus": False}
    assert flat(direct)
    assert comparable(recorded) == comparable(direct)


async def test_rules_over_half_of_the_nodes_are_not_believed(prometheus: PrometheusServer, evaluated: float) -> None:
    assert prometheus.query(f'{HALF["record"]}{{cluster="narval"}}')
    direct, recorded, features = await Reader(prometheus.url, interval=60.0).read(evaluated)
    assert features == {"recorded:cpus": False}
    assert flat(direct)
    assert comparable(recorded) == comparable(direct)


@pytest.mark.parametrize(
    ("interval", "matchers"),
    [(15.0, {"cluster": "narval"}), (INTERVAL, {"cluster": "narval", "instance": "n1:9798", "job": ""})],
    ids=["another window", "a matcher that says: without"],
)
async def test_rules_that_do_not_fit_are_not_read(
    prometheus: PrometheusServer, evaluated: float, interval: float, matchers: dict[str, str]
) -> None:
    direct, recorded, features = await Reader(prometheus.url, interval, **matchers).read(evaluated)
    assert features == {"recorded:cpus": False}
    assert values_of(direct, "cpu_seconds")
    assert comparable(recorded) == comparable(direct)


def test_the_shipped_rule_is_the_service_s_own_expression() -> None:
    (cpus,) = (item for item in JOB_INPUTS if item.recorded)
    own = promql(cpus, {}, ExporterSettings(), "instance").replace("by (slurmjobid", "by (cluster, slurmjobid")
    (shipped,) = (rule["expr"] for rule in rules("recording") if rule["record"] in INPUTS)
    assert "".join(shipped.split()) == "".join(own.replace("[120s]", "[2m]").split())
    assert "".join(INPUTS[NAME].split()) == "".join(shipped.split())


def test_the_rules_are_evaluated_often_enough_to_be_believed() -> None:
    (group,) = yaml.safe_load((RULES / "recording" / "hpc_inputs.yml").read_text())["groups"]
    assert group["interval"] == f"{ExporterSettings().interval:g}s"
