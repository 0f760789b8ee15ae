"""For each query of the portal's catalogue, its own PromQL and our answer agree on the same Prometheus."""

import re
import time
from collections import defaultdict
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
from tests.lab.slurm import DATABASE
from tests.lab.slurm_config import NODES

pytestmark = pytest.mark.lab

# Long enough that rates are of several scrapes of one second.
SECONDS = 30
STEP = 1
# Rates are over four intervals; the service takes 15 s at least.
WINDOW_SECONDS = 15
_Points = dict[float, float]
_Lines = dict[tuple[str, ...], _Points]


@pytest.fixture(scope="module")
def names(lab: Lab, service: Service) -> Mapping[str, str]:
    """Give the placeholders' values: those of a job with GPUs that has run for a while."""
    job_id = lab.jobs["gpu_busy"]
    job = next(each for each in lab.feed.jobs if each.job_id == job_id)
    wait_until(lambda: time.time() > job.start + 2 * SECONDS, 120, "a minute of the job")
    # What other tests have run is over for as long as a graph and the windows before it reach back.
    wait_until(lambda: time.time() > last_change(lab) + 2 * SECONDS, 180, "a while in which no job starts or ends")
    # A service that has just started has been scraped a few times only.
    wait_until(lambda: _held_for(lab, SECONDS), 120, "our own gauges for as long as a graph")
    node = next(iter(job.nodes))
    return {
        "F": 'cluster="lab"', "JOB": str(job_id), "JOBS": str(job_id), "window": f"{WINDOW_SECONDS}s", "USER": job.user,
        "USERS": job.user, "ACCT": job.account, "ACCTS": "def-kim|def-amartin", "TOP": "def-kim", "FS": "scratch",
        "HL": "instance", "NODE": node, "NODES": "|".join(NODES[:2]), "HOSTS": ",".join(NODES[:2]), "LOGIN": LOGIN,
        "INST": "|".join(f"{each}([.].*)?(:.*)?" for each in job.nodes), "SCRATCH": SCRATCH, "DEV": "eth0",
        "PROJ": INSTANCES[0].project, "UUID": INSTANCES[0].uuid,
    }  # fmt: skip


def last_change(lab: Lab) -> float:
    ((changed,),) = lab.mariadb.execute("SELECT MAX(GREATEST(time_start, time_end)) FROM lab_job_table", DATABASE)
    return float(changed)


def _held_for(lab: Lab, seconds: float) -> bool:
    count = lab.prometheus.value(f"max (count_over_time(hpc_account_used_cpus[{2 * SECONDS}s]))")
    return count is not None and count > seconds


@pytest.fixture(scope="module")
def end(lab: Lab, names: Mapping[str, str]) -> int:
    """Give the end of a graph during which no scrape was missed, as happens on a busy machine.

    Where samples are missing the portal's rate falls, and ours is the slope of those that are there.
    """
    ends: list[int] = []

    def observed() -> bool:
        # Nothing is scraped any more of a time before this: a scrape takes a second at most.
        ends.append(int(time.time()) - 5)
        expression = f"min(count_over_time(up[{WINDOW_SECONDS + 1}s]))"
        (line,) = lab.prometheus.query_range(expression, ends[-1] - SECONDS, ends[-1], STEP)
        return all(float(value) > WINDOW_SECONDS for _, value in line["values"])

    wait_until(observed, 240, "a while in which no scrape is missed")
    return ends[-1]


GRAPHS = [entry for entry in ENTRIES if entry.read is None and not entry.differs]
VALUES = [entry for entry in ENTRIES if entry.read is not None and not entry.differs]


def _id(entry: Entry) -> str:
    return f"{entry.id}-{entry.metric}"


@pytest.mark.parametrize("entry", GRAPHS, ids=_id)
def test_the_portals_graph_and_ours_agree(
    lab: Lab, service: Service, names: Mapping[str, str], end: int, entry: Entry
) -> None:
    theirs = portal_lines(lab, entry, names, end - SECONDS, end)
    ours = our_lines(service, entry, names, end - SECONDS, end)
    assert theirs, "the simulators show nothing that the portal would find"
    assert ours
    assert ours.keys() <= theirs.keys() if entry.picks else ours.keys() == theirs.keys()
    for key, points in ours.items():
        assert points == pytest.approx(theirs[key], rel=entry.tolerance), key


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
        ours = read(service.data(path))
        wanted = {key: theirs[key] for key in ours if key in theirs} if entry.picks else theirs
        return bool(wanted) and ours == pytest.approx(wanted, rel=max(1e-6, entry.tolerance))

    wait_until(agree, 180, f"{entry.id}: {expression} to agree with {path}")


def test_a_job_without_a_process_holds_what_it_holds(lab: Lab, service: Service, names: Mapping[str, str]) -> None:
    """The portal counts series of cores, and there are none: our graph is of what slurmacct says, by our own gauges."""
    run = service.data(f"/api/v1/clusters/lab/jobs/{lab.jobs['silent']}")["runs"][-1]
    user, account, end = run["user"], run["account"], int(time.time()) - 1
    path = f"/api/v1/clusters/lab/users/{user}/series?metric=allocated_cpus&start={end - SECONDS}&end={end}&step={STEP}"
    data = service.data(path)
    assert all("slurm_job" not in query for query in data["queries"]), "nobody else is asked where ours is there"
    counted = f'slurm_job:allocated_core:count_user_account{{cluster="lab",user="{user}",account="{account}"}}'
    lines = {line["metric"]["account"]: line for line in data["result"]}
    assert len(lines[account]["values"]) == SECONDS + 1
    theirs = lab.prometheus.value(counted) or 0.0
    assert lines[account]["min"] >= theirs + run["allocated_cpus"]


def portal_lines(lab: Lab, entry: Entry, names: Mapping[str, str], start: float, end: float) -> _Lines:
    result = lab.prometheus.query_range(Template(entry.portal).substitute(names), start, end, STEP)
    return {
        _key(entry, line["metric"]): {moment: float(value) * entry.factor for moment, value in line["values"]}
        for line in result
    }


def our_lines(service: Service, entry: Entry, names: Mapping[str, str], start: float, end: float) -> _Lines:
    path = Template(entry.path).substitute(names)
    data = service.data(f"/api/v1/{path}?metric={entry.metric}&start={start}&end={end}&step={STEP}")
    found: dict[tuple[str, ...], _Points] = defaultdict(lambda: defaultdict(float))
    for line in data["result"]:
        if all(re.fullmatch(pattern, line["metric"].get(label, "")) for label, pattern in entry.only.items()):
            points = found[tuple(line["metric"].get(label, "") for label in entry.labels)]
            for moment, value in line["values"]:
                points[moment] += float(value)
    return found


def _key(entry: Entry, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Give the values of the portal's labels as ours have them."""
    found = ((ours, labels.get(theirs, "")) for ours, theirs in entry.labels.items())
    return tuple(NodeNames().normalize(value) if ours == "node" else value for ours, value in found)
