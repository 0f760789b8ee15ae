"""What the API says of every job of the lab is what Slurm's own sacct, sacctmgr and scontrol print."""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from aggregator.model.hostlist import expand_hostlist
from aggregator.sources.mysql import Connection, Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.hostlists import Written, host_lists
from tests.lab import Lab, wait_until
from tests.lab.databases import USER
from tests.lab.ports import LOOPBACK
from tests.lab.service import Service
from tests.lab.slurm import ACCOUNTS, DATABASE, USERS

pytestmark = pytest.mark.lab

Json = dict[str, Any]
# Numbers whole, every run of an id, no steps.
EXACT = ("--noconvert", "-D", "-X")


def _time(text: str) -> float | None:
    """sacct writes local time, which is UTC here; `Unknown` and `None` are times that have not come."""
    return None if text in ("Unknown", "None") else datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _time_limit(minutes: str) -> float | None:
    """Nothing is printed while slurmctld's word of the start has not come."""
    return None if minutes in ("", "UNLIMITED", "Partition_Limit") else 60.0 * int(minutes)


def _qos(name: str) -> str:
    return "" if name == "Unknown" else name


def _tres(text: str) -> Json:
    """`billing=4,cpu=4,gres/gpu:a100=2,gres/gpu=2,mem=8000M,node=1`: a GPU is counted by its type, if it has one."""
    counts = dict(entry.split("=") for entry in text.split(",") if entry)
    gpus = {name.partition(":")[2]: int(n) for name, n in counts.items() if name.startswith("gres/gpu:")}
    if untyped := int(counts.get("gres/gpu", 0)) - sum(gpus.values()):
        gpus[""] = untyped
    return {
        "cpus": int(counts.get("cpu", 0)), "memory_bytes": _bytes(counts.get("mem", "0M")),
        "nodes": int(counts.get("node", 0)), "gpus": gpus,
    }  # fmt: skip


def _bytes(text: str) -> int:
    return round(float(text[:-1]) * {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}[text[-1]])


def _decoded(text: str) -> str:
    """A name is UTF-8, else latin-1."""
    try:
        return os.fsencode(text).decode()
    except UnicodeDecodeError:
        return os.fsencode(text).decode("latin-1")


@dataclass(frozen=True)
class Field:
    """A field of the API, and how sacct's text for it is read."""

    ours: str
    read: Callable[[str], Any]
    of: Callable[[Json], Any] | None = None

    def of_run(self, run: Json) -> Any:
        return self.of(run) if self.of else run[self.ours]


def _held(which: str) -> Callable[[Json], Json]:
    """Give what was `requested` or `granted`, as sacct's TRES are read."""
    return lambda run: {
        **{name: run[f"{which}_{name}"] for name in ("cpus", "memory_bytes", "nodes")},
        "gpus": {each["gpu_type"]: each["count"] for each in run[f"{which}_gpus_by_type"]},
    }


FIELDS = {
    "JobIDRaw": Field("job_id", int),
    "JobID": Field("id", lambda text: re.sub(r"\[.*\]", "[…]", text)),
    "User": Field("user", str),
    "Account": Field("account", str),
    "Partition": Field("partition", str),
    "QOS": Field("qos", _qos),
    "State": Field("state", lambda text: text.split()[0].lower()),
    "Submit": Field("submit_timestamp_seconds", _time),
    "Eligible": Field("eligible_timestamp_seconds", _time),
    "Start": Field("start_timestamp_seconds", _time),
    "End": Field("end_timestamp_seconds", _time),
    "TimelimitRaw": Field("time_limit_seconds", _time_limit),
    "ReqTRES": Field("requested", _tres, _held("requested")),
    "AllocTRES": Field("granted", _tres, _held("granted")),
}


# Compared in tests of their own.
OTHERS = {"ElapsedRaw": "elapsed_seconds", "NodeList": "nodes", "JobName": "job_name"}
DOCS = Path(__file__).parents[2] / "docs" / "compatibility.md"


@dataclass(frozen=True)
class Reading:
    """The API's runs and sacct's rows by job id and submission, and the times between which both were read."""

    ours: dict[tuple[int, float], Json]
    theirs: dict[tuple[int, float], dict[str, str]]
    seconds: float


@pytest.fixture(scope="module")
def reading(lab: Lab, service: Service) -> Iterator[Reading]:
    """Read both with jobs that are suspended, resumed, unlimited or changed besides those of the lab."""
    added = [lab.slurm.submit(["-J", name, "-n2"]) for name in ("suspended", "resumed")]
    added.append(lab.slurm.submit(["-J", "unlimited", "--time=UNLIMITED", "--hold", "--gres=gpu:1"]))
    suspended, resumed, _ = added
    for job_id in (suspended, resumed):
        lab.slurm.wait_state(job_id, "RUNNING")
        lab.slurm.scontrol("suspend", str(job_id))
        lab.slurm.wait_state(job_id, "SUSPENDED")
    since = time.time()
    # sacct counts whole seconds: of a shorter suspension there would be nothing to see.
    wait_until(lambda: time.time() > since + 2, 10, "two seconds of suspension")
    lab.slurm.scontrol("resume", str(resumed))
    expected = {(suspended, 2, True), (resumed, 1, False)}
    wait_until(lambda: suspensions(lab) == expected, 60, "the suspensions in slurmacct")
    lab.wait_accounted()
    yield read_both(lab, service)
    lab.slurm.scancel(*map(str, added))
    for job_id in added:
        lab.slurm.wait_state(job_id, "CANCELLED")


def suspensions(lab: Lab) -> set[tuple[int, int, bool]]:
    """Give job id, state and whether it lasts, of every suspension in slurmacct."""
    sql = "SELECT id_job, state, s.time_end FROM lab_job_table JOIN lab_suspend_table s USING (job_db_inx)"
    return {(job_id, state, not end) for job_id, state, end in lab.mariadb.execute(sql, DATABASE)}


def read_both(lab: Lab, service: Service) -> Reading:
    start = time.time()
    wait_until(lambda: as_of(service) > start, 30, "a snapshot of now")
    since = as_of(service)
    ids = {str(row[0]) for row in lab.mariadb.execute("SELECT id_job FROM lab_job_table", DATABASE)}
    # By id: within a window of time sacct leaves out what is not eligible yet.
    rows = lab.slurm.sacct_parsed([*FIELDS, "ElapsedRaw", "NodeList"], *EXACT, "-j", ",".join(ids))
    runs = [run for job_id in ids for run in service.data(f"/api/v1/clusters/lab/jobs/{job_id}")["runs"]]
    theirs = {(int(row["JobIDRaw"]), _time(row["Submit"]) or 0.0): row for row in rows}
    ours = {(run["job_id"], run["submit_timestamp_seconds"]): run for run in runs}
    assert len(theirs) == len(rows)
    return Reading(ours, theirs, time.time() - since)


def as_of(service: Service) -> float:
    return float(service.data("/api/v1/clusters/lab")["as_of_timestamp_seconds"])


def test_the_documented_fields_are_those_compared() -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", DOCS.read_text(), re.MULTILINE))
    assert documented == {field.ours: name for name, field in FIELDS.items()} | {a: b for b, a in OTHERS.items()}


def test_every_run_that_sacct_has_is_there_and_no_other(lab: Lab, reading: Reading) -> None:
    assert set(reading.ours) == set(reading.theirs)
    assert {job_id for job_id, _ in reading.ours} >= set(lab.jobs.values())
    states = {run["state"] for run in reading.ours.values()}
    assert states >= {"pending", "running", "suspended", "completed", "failed", "cancelled", "requeued"}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_is_what_sacct_prints(reading: Reading, field: str) -> None:
    conversion = FIELDS[field]
    ours = {key: conversion.of_run(run) for key, run in reading.ours.items()}
    assert ours == {key: conversion.read(row[field]) for key, row in reading.theirs.items()}


def test_elapsed_time_is_what_sacct_prints(reading: Reading) -> None:
    """Of a job that runs the two were read at two times; sacct counts whole seconds."""
    for key, run in reading.ours.items():
        later = reading.seconds if run["state"] == "running" else 0.0
        assert -1 - later <= run["elapsed_seconds"] - int(reading.theirs[key]["ElapsedRaw"]) <= 1 + later, key


def test_nodes_are_those_that_scontrol_expands(lab: Lab, reading: Reading) -> None:
    for key, row in reading.theirs.items():
        names = [] if row["NodeList"] == "None assigned" else hostnames(lab, row["NodeList"])
        assert reading.ours[key]["nodes"] == names, row["NodeList"]


def test_names_are_what_sacct_prints_byte_for_byte(lab: Lab, reading: Reading) -> None:
    """One job at a time: a name may hold whatever would part two."""
    single = [key for key in reading.ours if [job_id for job_id, _ in reading.ours].count(key[0]) == 1]
    alone = [key for key in single if not reading.ours[key]["array_job_id"] and not reading.ours[key]["het_job_id"]]
    assert len(alone) >= 15
    for key in alone:
        printed = lab.slurm.run("sacct", *EXACT, "-n", "-P", "-j", str(key[0]), "--format=JobName")
        assert reading.ours[key]["job_name"] == _decoded(printed.removesuffix("\n"))


async def test_the_account_tree_is_that_of_sacctmgr(lab: Lab, service: Service) -> None:
    database = Database(Connection(key="lab", host=LOOPBACK, port=lab.mariadb.port, user=USER, database=DATABASE,
                                   password=lambda: lab.password_file.read_text().strip()))  # fmt: skip
    accounting = await SlurmAcct("lab", database, "lab", 600.0).fetch(time.time())
    await database.close()
    live = accounting.associations.rows.filter(~pl.col("deleted"))
    parents = dict(live.filter(pl.col("user") == "").select("account", "parent").iter_rows())
    assert parents == tree(lab) == {"root": "", **ACCOUNTS}
    members = live.filter(pl.col("user") != "").select("user", "account").rows()
    assert set(members) == {("root", "root"), *((user, account) for user, of in USERS.items() for account in of)}
    shown = service.data("/api/v1/clusters/lab/accounts")["accounts"]
    assert {account["account"]: account["parent"] for account in shown}.items() <= parents.items()


def tree(lab: Lab) -> dict[str, str]:
    """Read the parents from the indentation that sacctmgr prints: a blank for each level."""
    printed = lab.slurm.run("sacctmgr", "-n", "-P", "show", "assoc", "tree", "format=Account,User,ParentName")
    path: list[str] = []
    parents: dict[str, str] = {}
    for line in printed.splitlines():
        account, user, named = line.split("|")
        if user:
            continue
        name = account.strip()
        path = [*path[: len(account) - len(name)], name]
        parents[name] = path[-2] if len(path) > 1 else ""
        assert named == parents[name]
    return parents


@settings(max_examples=3 * settings.default.max_examples)
@given(host_lists(ours_only=False))
def test_host_lists_expand_as_scontrol_does(lab: Lab, written: Written) -> None:
    """In the same order, too, for what Slurm writes; three brackets and more it orders in a way of its own."""
    text, _ = written
    assert list(expand_hostlist(text)) == hostnames(lab, text)


@pytest.mark.parametrize("text", ["n[1-3,2],n2", "a[1-2]b[1-2]c[1-2]", "n[08-11,7]", "a,,b", "n[1-2],"])
def test_forms_that_slurm_takes_name_the_same_hosts(lab: Lab, text: str) -> None:
    assert sorted(expand_hostlist(text)) == sorted(hostnames(lab, text))


def hostnames(lab: Lab, text: str) -> list[str]:
    return lab.slurm.scontrol("show", "hostnames", text).split()
