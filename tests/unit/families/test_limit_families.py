"""hpc_*_limit: each limit once, at whom it limits."""

from dataclasses import replace
from typing import Any

import polars as pl

from aggregator.families import BY_NAME
from aggregator.join.limits import join_limits
from aggregator.model.association import Associations, Qos
from aggregator.model.usage import RawUsage
from aggregator.model.view import ClusterView
from tests.builders import NOW, make_association, make_run

ROWS = (
    make_association("root", limits={("MaxJobs", ""): 9.0}, qos=frozenset({1})),
    make_association("def-kim", limits={("GrpTRES", "cpu"): 50.0, ("GrpTRESMins", "cpu"): 6000.0}),
    make_association("sub", parent="def-kim"),
    make_association("sub", "alice", limits={("GrpTRES", "cpu"): 9.0}),
    make_association("sub", "alice", id=5, partition="gpu", limits={("MaxJobs", ""): 1.0}),
    make_association("sub", "idle"),
)
QOS = {1: Qos("normal", {("MaxJobsPerUser", ""): 3.0, ("MaxTRESPerAccount", "cpu"): 3.0})}
RUNS = [make_run(account="sub"), make_run(account="sub", association_id=5)]
VIEW = ClusterView(
    "narval",
    NOW,
    frames={"users": pl.DataFrame({"account": ["sub", "gone"], "user": ["alice", "bob"]})},
    limits=join_limits(Associations(ROWS, QOS), RUNS, NOW),
)


def values(name: str, view: ClusterView) -> dict[str, float]:
    family: Any = BY_NAME[name]
    found = {family.entity.label_values(view, entity)[1]: family.value(entity) for entity in family.entity.of(view)}
    return {who: value for who, value in found.items() if value is not None}


def samples(name: str, view: ClusterView = VIEW) -> dict[tuple[str, ...], Any]:
    family: Any = BY_NAME[name]
    found = [
        ((*family.entity.label_values(view, entity), *extra), value)
        for entity in family.entity.of(view)
        for extra, value in family.extra_samples(entity)
    ]
    assert len(dict(found)) == len(found), "two samples of one series"
    return {labels[1:]: value for labels, value in found}


def test_a_group_limit_is_the_accounts_where_it_is_set_and_counts_those_below() -> None:
    assert samples("hpc_account_limit") == {
        ("def-kim", "GrpTRES", "cpu"): 50.0, ("def-kim", "GrpTRESMins", "cpu"): 6000.0,
    }  # fmt: skip
    assert samples("hpc_account_limit_used") == {("def-kim", "GrpTRES", "cpu"): 16.0}, "no use is no sample"


def test_a_user_with_open_jobs_has_the_own_limits_and_those_inherited_but_none_of_a_group_or_qos() -> None:
    """A partition's association would be a second series of the same labels."""
    assert samples("hpc_user_limit") == {
        ("alice", "sub", "GrpTRES", "cpu"): 9.0, ("alice", "sub", "MaxJobs", ""): 9.0,
    }  # fmt: skip
    assert samples("hpc_user_limit_used") == {
        ("alice", "sub", "GrpTRES", "cpu"): 8.0, ("alice", "sub", "MaxJobs", ""): 1.0,
    }  # fmt: skip


def test_the_level_says_who_computed_it_and_what_is_not_known_has_no_sample() -> None:
    raw = RawUsage(frozenset({"billing"}), {}, {"root": {"billing": 8.0}, "def-kim": {"billing": 2.0}})
    view = replace(VIEW, limits=join_limits(Associations(ROWS, QOS), RUNS, NOW, raw, {"def-kim": 0.5}))
    assert samples("hpc_account_fairshare_level", view) == {("def-kim", "slurm_exporter"): 0.5}
    assert samples("hpc_user_fairshare_level", view) == {}, "who has used nothing is infinitely under-served"
    assert values("hpc_account_usage_ratio", view) == {"def-kim": 0.25, "sub": 0.0}
    assert values("hpc_user_usage_ratio", view) == {"alice": 0.0}
    assert samples("hpc_account_fairshare_level") == {}


def test_shares_of_every_account_in_a_sound_tree() -> None:
    family: Any = BY_NAME["hpc_account_shares_ratio"]
    found = {standing.account: family.value(standing) for standing in family.entity.of(VIEW)}
    assert found == {"root": None, "def-kim": 1.0, "sub": 1.0}
