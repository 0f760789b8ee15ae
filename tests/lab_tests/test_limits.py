"""Shares, limits and what is used of them: the service's words against sacctmgr's, scontrol's and sshare's."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator.model.association import is_group_limit
from aggregator.sources.mysql import Database
from aggregator.sources.slurmacct import SlurmAcct
from tests.lab import Lab, wait_until
from tests.lab.ports import LOOPBACK, free_port
from tests.lab.service import Service
from tests.standings import Standing, Standings, join_standings

pytestmark = pytest.mark.lab

# sacctmgr's column → ours.
COLUMNS = {
    "GrpJobs": "GrpJobs", "GrpSubmitJobs": "GrpSubmitJobs", "GrpTRES": "GrpTRES", "GrpTRESMins": "GrpTRESMins",
    "GrpTRESRunMins": "GrpTRESRunMins", "GrpWall": "GrpWall", "MaxJobs": "MaxJobs", "MaxSubmitJobs": "MaxSubmitJobs",
    "MaxTRES": "MaxTRES", "MaxTRESPerNode": "MaxTRESPerNode", "MaxTRESMins": "MaxTRESMins", "MaxWall": "MaxWall",
}  # fmt: skip
QOS_COLUMNS = {
    **{name: name for name in COLUMNS if name not in ("MaxJobs", "MaxSubmitJobs")},
    "MaxJobsPU": "MaxJobsPerUser", "MaxJobsPA": "MaxJobsPerAccount", "MaxSubmitPU": "MaxSubmitJobsPerUser",
    "MaxSubmitPA": "MaxSubmitJobsPerAccount", "MaxTRESPU": "MaxTRESPerUser", "MaxTRESPA": "MaxTRESPerAccount",
    "MinTRES": "MinTRES",
}  # fmt: skip
KIM = {
    "GrpTRES": "cpu=50,gres/gpu=4,mem=100000,node=5", "GrpJobs": "10", "GrpTRESRunMins": "cpu=600000",
    "GrpTRESMins": "cpu=99999", "GrpWall": "1000", "MaxTRES": "cpu=32", "MaxWall": "1-00:00:00",
}  # fmt: skip
ROOT = {"MaxSubmitJobs": "1000", "MaxTRES": "cpu=64,node=4", "MaxTRESMins": "cpu=5000"}
ALICE = {"MaxJobs": "9", "GrpTRES": "cpu=40"}
HIGH = {"MaxJobsPerUser": "3", "GrpTRES": "cpu=100", "MaxTRESPerUser": "gres/gpu=2", "MaxWall": "60"}

Key = tuple[str, str, str]
Values = dict[tuple[str, str], float]


def sacctmgr(lab: Lab, *args: str) -> None:
    lab.slurm.run("sacctmgr", "-i", "-Q", *args)


def settings(values: dict[str, str]) -> list[str]:
    return ["set", *(f"{name}={value}" for name, value in values.items())]


def clear(values: dict[str, str]) -> list[str]:
    return settings({name: re.sub(r"=[^,]+", "=-1", value) if "=" in value else "-1" for name, value in values.items()})


@pytest.fixture(scope="module", autouse=True)
def limited(lab: Lab) -> Iterator[None]:
    """Limits on accounts, a user and a QOS, `parent` shares, a partition's association; taken back in the end."""
    kim, root, alice, high = (
        ("modify", "account", "def-kim"), ("modify", "account", "root"),
        ("modify", "user", "alice", "where", "account=def-kim"), ("modify", "qos", "high"),
    )  # fmt: skip
    for target, values in ((kim, KIM), (root, ROOT), (alice, ALICE), (high, HIGH)):
        sacctmgr(lab, *target, *settings(values))
    sacctmgr(lab, "add", "user", "bob", "account=def-lee", "partition=gpu", "MaxJobs=2", "fairshare=7")
    sacctmgr(lab, "modify", "account", "def-kim-sub", "set", "fairshare=parent")
    sacctmgr(lab, "modify", "user", "dave", "where", "account=def-kim", "set", "qos-=high")
    sacctmgr(lab, "add", "coordinator", "account=def-kim", "names=carol")
    # slurmdbd tells slurmctld after it has answered sacctmgr.
    wait_until(lambda: is_told(lab), 60, "slurmctld to know the limits")
    lab.wait_accounted()
    yield
    sacctmgr(lab, "delete", "coordinator", "account=def-kim", "names=carol")
    sacctmgr(lab, "modify", "user", "dave", "where", "account=def-kim", "set", "qos+=high")
    sacctmgr(lab, "modify", "account", "def-kim-sub", "set", "fairshare=10")
    sacctmgr(lab, "delete", "user", "bob", "where", "account=def-lee", "partition=gpu")
    for target, values in ((kim, KIM), (root, ROOT), (alice, ALICE), (high, HIGH)):
        sacctmgr(lab, *target, *clear(values))


def is_told(lab: Lab) -> bool:
    """Tell whether slurmctld knows the first limit that was set and the last association."""
    known = manager(lab)
    return known["def-kim", "", ""]["GrpJobs"].startswith("10(") and ("def-lee", "bob", "gpu") in known


@pytest.fixture
def source(database: Database) -> SlurmAcct:
    return SlurmAcct("lab", database, "lab", 600.0)


async def read(lab: Lab, source: SlurmAcct) -> Standings:
    now = float(lab.mariadb.execute("SELECT UNIX_TIMESTAMP()")[0][0])
    accounting = await source.fetch(now)
    return join_standings(accounting.associations, accounting.runs, now)


def parse(limit: str, text: str) -> Values:
    """Read what Slurm prints of one limit, in base units."""
    if "=" not in text:
        return {(limit, ""): seconds(text) if limit.endswith("Wall") else float(text)} if text else {}
    found = (entry.split("=") for entry in text.split(","))
    minutes = 60.0 if "Mins" in limit else 1.0
    return {(limit, tres): amount(count) * (2**20 if tres == "mem" else 1) * minutes for tres, count in found}


def amount(text: str) -> float:
    """Read a count; memory comes in MB, with a letter where Slurm converted it."""
    factors = {"M": 1.0, "G": 1024.0, "T": 1024.0**2}
    return float(text[:-1]) * factors[text[-1]] if text[-1] in factors else float(text)


def seconds(text: str) -> float:
    days, _, rest = text.rpartition("-")
    hours, minutes, last = (["0", "0", *rest.split(":")])[-3:]
    return int(days or 0) * 86_400.0 + int(hours) * 3600 + int(minutes) * 60 + int(last)


def table(lab: Lab, what: str, columns: list[str]) -> list[dict[str, str]]:
    lines = lab.slurm.run("sacctmgr", "-n", "-P", "show", what, f"format={','.join(columns)}").splitlines()
    return [dict(zip(columns, line.split("|"), strict=True)) for line in lines]


def own_and_inherited(standing: Standing) -> Values:
    """What sacctmgr prints in a row: the group limits that are set there, and the others with inheritance."""
    place = (standing.account, standing.user, standing.partition)
    return {
        (limit.limit, limit.tres): limit.value
        for limit in standing.limits
        if not limit.qos and (not is_group_limit(limit.limit) or (limit.account, limit.user, limit.partition) == place)
    }


async def test_limits_and_shares_are_those_that_sacctmgr_shows(lab: Lab, source: SlurmAcct) -> None:
    ours = (await read(lab, source)).by_key
    rows = table(lab, "assoc", ["Account", "User", "Partition", "Share", "QOS", *COLUMNS])
    assert {(row["Account"], row["User"], row["Partition"]) for row in rows} == ours.keys()
    assert len(rows) >= 14
    for row in rows:
        standing = ours[row["Account"], row["User"], row["Partition"]]
        theirs: Values = {}
        for column, limit in COLUMNS.items():
            theirs |= parse(limit, row[column])
        assert own_and_inherited(standing) == theirs, row
        assert ("parent" if standing.shares is None else str(standing.shares)) == row["Share"]
        if standing.user:
            shown = {limit.qos for limit in standing.limits if limit.qos}
            assert shown == {"high"} & set(row["QOS"].split(",")), row


async def test_limits_of_qos_are_those_that_sacctmgr_shows(lab: Lab, source: SlurmAcct) -> None:
    joined = await read(lab, source)
    rows = table(lab, "qos", ["Name", "Priority", *QOS_COLUMNS])
    assert [(each.name, str(each.priority)) for each in joined.qos] == sorted(
        (row["Name"], row["Priority"]) for row in rows
    )
    for row in rows:
        (standing,) = (each for each in joined.qos if each.name == row["Name"])
        theirs: Values = {}
        for column, limit in QOS_COLUMNS.items():
            theirs |= parse(limit, row[column])
        assert {(limit.limit, limit.tres): limit.value for limit in standing.limits} == theirs, row
    assert {len(each.limits) for each in joined.qos} == {0, 4}


def manager(lab: Lab) -> dict[Key, dict[str, str]]:
    """Read slurmctld's own records of the associations: `GrpJobs=10(9)` is the limit and what is used of it."""
    records = lab.slurm.scontrol("show", "assoc_mgr", "flags=assoc").split("ClusterName=")[1:]
    found = {}
    for record in records:
        fields = dict(word.split("=", 1) for word in record.split() if "=" in word)
        found[fields["Account"], fields["UserName"].partition("(")[0], fields["Partition"]] = fields
    return found


def used_of(fields: dict[str, str], limit: str, tres: str) -> float:
    """Read what slurmctld says is used, in base units."""
    text = fields[limit]
    if tres:
        text = dict(entry.split("=") for entry in text.split(","))[tres]
    (count,) = re.findall(r"\((\d+)\)", text)
    return float(count) * (2**20 if tres == "mem" else 1) * (60 if limit.endswith("Mins") else 1)


async def test_what_is_used_is_what_slurmctld_counts(lab: Lab, source: SlurmAcct) -> None:
    """Of group limits and of MaxJobs; slurmctld lets run minutes go down once in PriorityCalcPeriod, a minute."""
    theirs, joined = manager(lab), await read(lab, source)
    compared = 0
    for key, standing in joined.by_key.items():
        for limit in standing.limits:
            if limit.used is None or limit.qos:
                continue
            where = (limit.account, limit.user, limit.partition) if is_group_limit(limit.limit) else key
            counted = used_of(theirs[where], limit.limit, limit.tres)
            late = used_of(theirs[where], "GrpTRES", limit.tres) * 120 if limit.limit == "GrpTRESRunMins" else 0.0
            if limit.tres == "node" and not limit.user:
                # After a change of associations slurmctld takes an account's nodes for the sum of its users'.
                assert 0 < limit.used <= counted
            else:
                assert limit.used == pytest.approx(counted - late / 2, abs=late / 2), (limit, counted)
            compared += 1
    assert compared > 50
    kim = {(limit.limit, limit.tres): limit for limit in joined.accounts["def-kim"].limits}
    assert (kim["GrpTRES", "cpu"].used or 0) > 20, "the account's jobs and those of the account below"


async def test_shares_ratios_are_those_of_slurmctld(lab: Lab, source: SlurmAcct) -> None:
    ours = (await read(lab, source)).by_key
    lines = lab.slurm.run("sshare", "-a", "-n", "-P", "-o", "Account,User,Partition,NormShares").splitlines()
    assert len(lines) == len(ours)
    for line in lines:
        account, user, partition, norm = line.strip().split("|")
        if account != "root" or user:
            assert ours[account, user, partition].shares_ratio == pytest.approx(float(norm), abs=1e-6), line
    through, above = ours["def-kim-sub", "", ""], ours["def-kim", "", ""]
    assert (through.shares, through.shares_ratio) == (None, above.shares_ratio)


def test_the_service_shows_them(lab: Lab, tmp_path: Path) -> None:
    port = free_port()
    config = lab.write_config(tmp_path / "config.yml", exporters=(), extra={
        "server": {"listen_address": f"{LOOPBACK}:{port}"}, "state": {"url": f"sqlite:///{tmp_path}/state.db"},
        "filesystems": {},
    })  # fmt: skip
    service = Service(lab, config, port=port)
    service.start()
    try:
        wait_until(lambda: bool(service.samples("hpc_account_limit")), 60, "the limits")
        account: Any = service.data("/api/v1/clusters/lab/accounts/def-kim")
        values = {(each["limit"], each["tres"]): each for each in account["limits"]}
        assert values["GrpTRES", "cpu"]["value"] == 50
        assert values["GrpTRES", "gres/gpu"]["headroom"] == 4 - values["GrpTRES", "gres/gpu"]["used"]
        assert (account["coordinators"], account["shares"]) == (["carol"], 10)
        used = service.value("hpc_account_limit_used", account="def-kim", limit="GrpTRES", tres="cpu")
        assert used == values["GrpTRES", "cpu"]["used"]
        assert service.value("hpc_user_limit", user="alice", account="def-kim", limit="MaxJobs") == 9
        assert service.value("hpc_account_limit_used", account="def-kim", limit="GrpWall") is None
        assert [row["qos"] for row in service.data("/api/v1/clusters/lab/qos")["qos"]] == ["high", "normal"]
        assert service.value("hpc_aggregator_source_feature", feature="coordinators", source="slurmacct") == 1
    finally:
        service.stop()
