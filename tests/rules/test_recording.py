"""The recorded series equal the documented expressions, on a real Prometheus over backfilled samples."""

import json
import random
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from tests.lab.process import wait_until
from tests.lab.prometheus import PrometheusServer
from tests.rules.contract import CONTRACT, NEWEST
from tests.rules.files import backfill, rule_files

STEP = 15
HISTORY = 600
USERS = (("alice", "def-a"), ("bob", "def-a"), ("carol", "def-b"), ("dave", "error"))
CLUSTERS = ("narval", "beluga")
Series = dict[str, str]


def series() -> Iterator[tuple[str, Series, bool]]:
    """Make up name, labels and whether it is a counter: jobs on two clusters, two GPU types, two file systems."""
    dice = random.Random(0)
    for job in range(40):
        user, account = dice.choice(USERS)
        owner = {"cluster": dice.choice(CLUSTERS), "user": user, "account": account}
        yield from job_series(dice, job, owner | {"slurmjobid": str(job), "instance": f"n{job % 7}"})
        yield from lustre_job_series(owner | {"jobid": str(job)})
    for cluster in CLUSTERS:
        yield from lustre_series(cluster)


def job_series(dice: random.Random, job: int, base: Series) -> Iterator[tuple[str, Series, bool]]:
    for core in range(dice.randint(1, 4)):
        yield "slurm_job_core_usage_total", base | {"core": str(core)}, True
    for name in ("limit", "rss", "max"):
        yield f"slurm_job_memory_{name}", base, False
    for gpu in range(dice.choice((0, 0, 1, 4))):
        labels = base | {"gpu": str(gpu), "gpu_type": dice.choice(("A100", "3g.20gb"))}
        yield "slurm_job_utilization_gpu", labels, False
        yield "slurm_job_power_gpu", labels, False
    yield "slurm_job_process_usage_total", base | {"exe": f"/opt/{job}/bin/prog{job % 3}"}, True


def lustre_job_series(owner: Series) -> Iterator[tuple[str, Series, bool]]:
    for fs in ("fs1", "fs2"):
        for direction in ("read", "write"):
            labels = owner | {"fs": fs, "component": "ost", "target": f"{fs}-OST0001"}
            yield f"lustre_job_{direction}_bytes_total", labels, True
        for component in ("mdt", "ost"):
            target = f"{fs}-{component.upper()}0000"
            labels = owner | {"fs": fs, "component": component, "target": target, "operation": "open"}
            yield "lustre_job_stats_total", labels, True


def lustre_series(cluster: str) -> Iterator[tuple[str, Series, bool]]:
    for target in ("fs1-OST0000", "fs1-OST0001", "fs2-OST0000", "odd", "fs1-MDT0000"):
        labels = {"cluster": cluster, "component": "mdt" if "MDT" in target else "ost", "target": target}
        for direction in ("read", "write"):
            yield f"lustre_{direction}_bytes_total", labels, True
        for operation in ("open", "close"):
            yield "lustre_stats_total", labels | {"operation": operation}, True


def openmetrics(end: float) -> Iterator[str]:
    """Write the samples until *end*: counters that reset now and then, gauges that are sometimes 0."""
    dice = random.Random(1)
    seen: dict[str, list[str]] = {}
    for name, labels, is_counter in series():
        value = 0.0
        text = ",".join(f'{key}="{val}"' for key, val in labels.items())
        for at in range(int(end) - HISTORY, int(end) + 1, STEP):
            step = dice.randint(0, 10**6)
            value = (0.0 if dice.random() < 0.02 else value + step) if is_counter else dice.choice((0, step % 101))
            seen.setdefault(name, []).append(f"{name}{{{text}}} {value} {at}")
    for name, lines in seen.items():
        counter = name.endswith("_total")
        yield f"# TYPE {name.removesuffix('_total')} {'counter' if counter else 'gauge'}"
        yield from lines
    yield "# EOF\n"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    root = tmp_path_factory.mktemp("recording")
    backfill(root, openmetrics(time.time()))
    server = PrometheusServer(root, rule_files=rule_files("recording"))
    server.start()
    yield server
    server.stop()


def at_time(server: PrometheusServer, expr: str, at: float) -> dict[frozenset[tuple[str, str]], float]:
    """Evaluate at a time: labels without the name → value."""
    query = urllib.parse.urlencode({"query": expr, "time": f"{at:.3f}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.url}/api/v1/query?{query}", timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    return {
        frozenset((key, value) for key, value in one["metric"].items() if key != "__name__"): float(one["value"][1])
        for one in result
    }


@pytest.mark.parametrize(("name", "expr"), [*CONTRACT.items(), *NEWEST.items()], ids=[*CONTRACT, *NEWEST])
def test_a_recorded_series_equals_the_documented_expression(prometheus: PrometheusServer, name: str, expr: str) -> None:
    wait_until(lambda: bool(prometheus.query(name)), 60, f"{name} to be recorded")
    # All series of a rule are recorded at one time, which is that of the evaluation.
    at = max(float(one["value"][1]) for one in prometheus.query(f"timestamp({name})"))
    recorded, documented = at_time(prometheus, name, at), at_time(prometheus, expr, at)
    assert len(documented) > 1
    assert recorded.keys() == documented.keys()
    for labels, value in documented.items():
        assert recorded[labels] == pytest.approx(value, rel=1e-9), labels
