"""Literal rows of the association, QOS and coordinator tables, as slurmdbd 20.11 to 26.05 writes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.association import Association, Qos
from aggregator.sources.slurmacct.associations import (
    ASSOCIATION_LIMITS,
    QOS_LIMITS,
    associations,
    parse_association,
    parse_catalog,
    parse_coordinators,
    parse_qos,
    qos,
)
from aggregator.sources.slurmacct.schema import Schema
from tests.builders import HOSTILE_NAMES
from tests.slurm_schema import schemas

CATALOG = parse_catalog(
    [(1, b"cpu", b""), (2, b"mem", b""), (4, b"node", b""), (1001, b"gres", b"gpu"), (1002, b"gres", b"gpu:a100"),
     (1003, b"license", b"matlab@server")]
)  # fmt: skip


def parse(**changes: Any) -> Association:
    row = {
        "id_assoc": 7, "user": b"", "acct": b"def-kim", "partition": b"", "parent_acct": b"root", "deleted": 0,
        "shares": 10, "qos": b"", "delta_qos": b"", "flags": 0, **dict.fromkeys(ASSOCIATION_LIMITS), **changes,
    }  # fmt: skip
    return parse_association(tuple(row.values()), CATALOG)


def test_an_account_without_limits_has_none() -> None:
    assert parse() == Association(id=7, account="def-kim", parent="root", shares=10)


def test_limits_are_in_base_units_by_sacctmgrs_names() -> None:
    limits = parse(
        grp_jobs=10, max_jobs=0, grp_tres=b"1=50,2=4000,1001=4,1002=2,1003=1", grp_tres_mins=b"1=60,2=1",
        grp_tres_run_mins=b"1001=5", max_tres_pj=b"4=2", max_wall_pj=1440, grp_wall=60, max_submit_jobs=100,
    ).limits  # fmt: skip
    assert limits == {
        ("GrpJobs", ""): 10.0, ("MaxJobs", ""): 0.0, ("MaxSubmitJobs", ""): 100.0, ("GrpTRES", "cpu"): 50.0,
        ("GrpTRES", "mem"): 4000.0 * 2**20, ("GrpTRES", "gres/gpu"): 4.0, ("GrpTRES", "gres/gpu:a100"): 2.0,
        ("GrpTRES", "license/matlab@server"): 1.0, ("GrpTRESMins", "cpu"): 3600.0,
        ("GrpTRESMins", "mem"): 60.0 * 2**20, ("GrpTRESRunMins", "gres/gpu"): 300.0, ("MaxTRES", "node"): 2.0,
        ("MaxWall", ""): 86_400.0, ("GrpWall", ""): 3600.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"grp_jobs": None}, {"grp_jobs": -1}, {"grp_jobs": 4294967295}, {"max_wall_pj": 4294967294}, {"grp_tres": b""},
        {"grp_tres": None}, {"grp_tres": b"1=18446744073709551615"}, {"grp_tres": b"1="}, {"grp_tres": b"77=1"},
        {"grp_tres": b"\xff\x00"},
    ],
    ids=str,
)  # fmt: skip
def test_a_limit_that_is_not_set_or_cannot_be_read_is_no_limit(changes: dict[str, Any]) -> None:
    assert parse(**changes).limits == {}


def test_shares_of_parent_are_no_number() -> None:
    assert (parse(shares=0x7FFFFFFF).shares, parse(shares=0).shares, parse(shares=1).shares) == (None, 0, 1)


def test_a_users_association_has_no_parent_and_may_be_for_a_partition() -> None:
    association = parse(user=b"alice", parent_acct=b"", partition=b"gpu", deleted=1)
    assert (association.user, association.parent, association.partition, association.deleted) == (
        "alice",
        "",
        "gpu",
        True,
    )


def test_qos_are_set_or_changed() -> None:
    association = parse(qos=b",1,2", delta_qos=b",+3,-1,,x")
    sets = (association.qos, association.added_qos, association.removed_qos)
    assert sets == (frozenset({1, 2}), frozenset({3}), frozenset({1}))
    assert parse(qos=None, delta_qos=None).qos == frozenset()


def test_the_flag_of_users_that_are_coordinators() -> None:
    assert [parse(flags=flags).users_are_coordinators for flags in (0, 1, 65536, 65537, None)] == [
        False, False, True, True, False,
    ]  # fmt: skip


def test_a_qos_has_limits_of_its_own_kinds() -> None:
    row = {
        "id": 2, "name": b"high", "deleted": 0, "priority": 1000, "usage_factor": 0.5, **dict.fromkeys(QOS_LIMITS),
    }  # fmt: skip
    row |= {
        "max_jobs_per_user": 3,
        "max_tres_run_mins_pu": b"1=10",
        "max_wall_duration_per_job": 60,
        "min_tres_pj": b"1=4",
    }
    assert parse_qos(tuple(row.values()), CATALOG) == Qos(
        "high",
        {("MaxJobsPerUser", ""): 3.0, ("MaxTRESRunMinsPerUser", "cpu"): 600.0, ("MaxWall", ""): 3600.0,
         ("MinTRES", "cpu"): 4.0},
        1000,
        0.5,
    )  # fmt: skip
    assert parse_qos(tuple({**row, "priority": None}.values()), CATALOG).priority == 0
    assert parse_qos(tuple({**row, "usage_factor": -1.0}.values()), CATALOG).usage_factor == 1.0, "not set"


def test_names_come_out_as_they_are() -> None:
    for name in HOSTILE_NAMES:
        assert parse(acct=name.encode()).account == name
        assert parse_coordinators([(b"a", name.encode()), (b"b", b"x")]) == [("a", name), ("b", "x")]


@given(st.binary(max_size=60), st.binary(max_size=30), st.integers(-(2**31), 2**32), st.binary(max_size=30))
def test_no_row_is_too_strange(tres: bytes, changes: bytes, count: int, name: bytes) -> None:
    association = parse(grp_tres=tres, max_tres_mins_pj=tres, delta_qos=changes, grp_jobs=count, acct=name)
    assert all(value >= 0 for value in association.limits.values())


@pytest.mark.parametrize("release", sorted(schemas()))
def test_every_limit_is_there_in_every_release(release: str) -> None:
    tables = schemas()[release]
    names = {"assoc": "<cluster>_assoc_table", "qos": "qos_table"}
    schema = Schema("c", {table: frozenset(tables[name]["columns"]) for table, name in names.items()})
    assert "NULL" not in associations(schema) + qos(schema)
    assert ("flags" in associations(schema)) == (release >= "24.05")


def test_a_column_that_a_release_lacks_is_not_asked_for() -> None:
    schema = Schema("c", {"assoc": frozenset({"grp_tres"}), "qos": frozenset()})
    assert "max_jobs" not in associations(schema)
    assert "grp_" not in qos(schema)
