"""For each query of the portal's catalogue, its own PromQL and our answer agree on the same Prometheus."""

import time
from collections.abc import Mapping
from string import Template

import pytest

from aggregator.sources.prometheus.nodes import NodeNames
from tests.catalogue import ENTRIES, Entry
from tests.lab import Lab, wait_until
from tests.lab.exporters.libvirtd_exporter import INSTANCES
from tests.lab.exporters.node_exporter import SCRATCH
from tests.lab.service import Service
from tests.lab.simulators import LOGIN
from tests.lab.slurm_config import NODES

pytestmark = pytest.mark.lab

# Long enough that rates are of several scrapes of one second.
SECONDS = 30
STEP = 1
# Rates are over four intervals; the service takes 15 s at least.
WINDOW = "15s"
_Points = dict[float, float]
_Lines = dict[tuple[str, ...], _Points]


@pytest.fixture(scope="module")
def names(lab: Lab, service: Service) -> Mapping[str, str]:
    """Give the placeholders' values: those of a job with GPUs that has run for a while."""
    job_id = lab.jobs["gpu_busy"]
    job = next(each for each in lab.feed.jobs if each.job_id == job_id)
    wait_until(lambda: time.time() > job.start + 2 * SECONDS, 120, "a minute of the job")
    node = next(iter(job.nodes))
    return {
        "F": 'cluster="lab"', "JOB": str(job_id), "window": WINDOW, "USER": job.user, "ACCT": job.account,
        "FS": "scratch", "HL": "instance", "NODE": node, "LOGIN": LOGIN, "INST": f"{node}(:.*)?",
        "NODES": "|".join(NODES[:2]), "HOSTS": ",".join(NODES[:2]), "SCRATCH": SCRATCH, "DEV": "eth0",
        "ACCTS": "def-kim|def-amartin",
        "PROJ": INSTANCES[0].project, "UUID": INSTANCES[0].uuid,
    }  # fmt: skip


GRAPHS = [entry for entry in ENTRIES if entry.read is None and not entry.differs]
VALUES = [entry for entry in ENTRIES if entry.read is not None and not entry.differs]


def _id(entry: Entry) -> str:
    return f"{entry.id}-{entry.metric}"


@pytest.mark.parametrize("entry", GRAPHS, ids=_id)
def test_the_portals_graph_and_ours_agree(lab: Lab, service: Service, names: Mapping[str, str], entry: Entry) -> None:
    # Nothing is scraped any more of a time before this: a scrape takes a second at most.
    end = int(time.time()) - 5
    theirs = portal_lines(lab, entry, names, end - SECONDS, end)
    ours = our_lines(service, entry, names, end - SECONDS, end)
    assert theirs, "the simulators show nothing that the portal would find"
    assert ours.keys() == theirs.keys()
    for key, points in theirs.items():
        assert ours[key] == pytest.approx(points, rel=1e-9), key


@pytest.mark.parametrize("entry", VALUES, ids=_id)
def test_the_portals_value_and_ours_agree(lab: Lab, service: Service, names: Mapping[str, str], entry: Entry) -> None:
    """Both are of now, read one after the other: they agree as soon as neither has just changed."""
    assert entry.read is not None
    read, path = entry.read, f"/api/v1/{Template(entry.path).substitute(names)}"
    expression = Template(entry.portal).substitute(names)

    def agree() -> bool:
        theirs = {
            _key(entry, sample["metric"]): float(sample["value"][1]) * entry.factor
            for sample in lab.prometheus.query(expression)
        }
        return bool(theirs) and read(service.data(path)) == pytest.approx(theirs, rel=1e-6)

    wait_until(agree, 60, f"{entry.id}: {expression} to agree with {path}")


def portal_lines(lab: Lab, entry: Entry, names: Mapping[str, str], start: float, end: float) -> _Lines:
    result = lab.prometheus.query_range(Template(entry.portal).substitute(names), start, end, STEP)
    return {
        _key(entry, line["metric"]): {moment: float(value) * entry.factor for moment, value in line["values"]}
        for line in result
    }


def our_lines(service: Service, entry: Entry, names: Mapping[str, str], start: float, end: float) -> _Lines:
    path = Template(entry.path).substitute(names)
    data = service.data(f"/api/v1/{path}?metric={entry.metric}&start={start}&end={end}&step={STEP}")
    return {
        tuple(line["metric"].get(label, "") for label in entry.labels): {
            moment: float(value) for moment, value in line["values"]
        }
        for line in data["result"]
        if entry.only.items() <= line["metric"].items()
    }


def _key(entry: Entry, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Give the values of the portal's labels as ours have them."""
    found = ((ours, labels.get(theirs, "")) for ours, theirs in entry.labels.items())
    return tuple(NodeNames().normalize(value) if ours == "node" else value for ours, value in found)
