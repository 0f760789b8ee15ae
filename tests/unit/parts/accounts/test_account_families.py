"""hpc_*_limit: each limit once, at whom it limits."""

from isal import igzip

from aggregator.app.layouts import CLUSTERS
from aggregator.engine.frame import Frames
from aggregator.model.association import Associations, Qos
from aggregator.model.storage import Award
from tests.accounts import make_frames, make_left, make_tree
from tests.builders import make_association, make_run

ROWS = (
    make_association("root", limits={("MaxJobs", ""): 9.0}, qos=frozenset({1})),
    make_association("def-kim", limits={("GrpTRES", "cpu"): 50.0, ("GrpTRESMins", "cpu"): 6000.0}),
    make_association("sub", parent="def-kim"),
    make_association("sub", "alice", limits={("GrpTRES", "cpu"): 9.0}),
    make_association("sub", "alice", id=5, partition="gpu", limits={("MaxJobs", ""): 1.0}),
    make_association("sub", "idle"),
)
QOS = {1: Qos("normal", {("MaxJobsPerUser", ""): 3.0, ("MaxTRESPerAccount", "cpu"): 3.0})}
RUNS = [
    make_run(run_id=1, job_id=1, account="sub"), make_run(run_id=2, job_id=2, account="sub", association_id=5),
    make_run(run_id=3, job_id=3, account="gone", user="bob"),
]  # fmt: skip
ASSOCIATIONS = Associations.of(ROWS, QOS)
FRAMES = make_frames(ASSOCIATIONS, RUNS)


def samples(name: str, frames: Frames = FRAMES) -> dict[tuple[str, ...], float]:
    """Give a family's samples by the values of their labels, without the cluster's."""
    member = CLUSTERS.render("narval", frames).get(name)
    found: dict[tuple[str, ...], float] = {}
    for line in igzip.decompress(b"".join(member.pieces)).decode().splitlines() if member else ():
        labels, _, value = line.removeprefix(f"{name}{{").rpartition("} ")
        key = tuple(label.partition('="')[2] for label in labels.removesuffix('"').split('",')[1:])
        assert key not in found, "two samples of one series"
        found[key] = float(value)
    return found


def test_a_group_limit_is_the_accounts_where_it_is_set_and_counts_those_below() -> None:
    assert samples("hpc_account_limit") == {
        ("def-kim", "GrpTRES", "cpu"): 50.0, ("def-kim", "GrpTRESMins", "cpu"): 6000.0,
    }  # fmt: skip
    assert samples("hpc_account_limit_used") == {("def-kim", "GrpTRES", "cpu"): 16.0}, "no use is no sample"


def test_a_user_with_open_jobs_has_the_own_limits_and_those_inherited_but_none_of_a_group_or_qos() -> None:
    """A partition's association would be a second series of the same labels."""
    assert samples("hpc_user_limit") == {
        ("alice", "sub", "GrpTRES", "cpu"): 9.0, ("alice", "sub", "MaxJobs"): 9.0,
    }  # fmt: skip
    assert samples("hpc_user_limit_used") == {
        ("alice", "sub", "GrpTRES", "cpu"): 8.0, ("alice", "sub", "MaxJobs"): 1.0,
    }  # fmt: skip


def test_the_level_says_who_computed_it_and_what_is_not_known_has_no_sample() -> None:
    left = make_left({"billing"}, {}, {"root": {"billing": 8.0}, "def-kim": {"billing": 2.0}})
    frames = make_frames(ASSOCIATIONS, RUNS, left=left, levels={"def-kim": 0.5})
    assert samples("hpc_account_fairshare_level", frames) == {("def-kim", "slurm_exporter"): 0.5}
    assert samples("hpc_user_fairshare_level", frames) == {}, "who has used nothing is infinitely under-served"
    assert samples("hpc_account_usage_ratio", frames) == {("def-kim",): 0.25, ("sub",): 0.0}
    assert samples("hpc_user_usage_ratio", frames) == {("alice", "sub"): 0.0}
    assert samples("hpc_account_fairshare_level") == {}


def test_shares_of_every_account_in_a_sound_tree() -> None:
    assert samples("hpc_account_shares_ratio") == {("def-kim",): 1.0, ("sub",): 1.0}


def test_the_tree_has_every_account_with_its_parent_and_organization() -> None:
    frames = make_frames(make_tree({"root": "", "def-kim": "root"}, organizations={"def-kim": "physics"}))
    assert samples("hpc_account_info", frames) == {("root",): 1.0, ("def-kim", "root", "physics"): 1.0}


def test_awards_and_usage_need_no_associations() -> None:
    frames = make_frames(None, awards={"def-kim": Award(cpus=100.0), "def-lee": Award(gpus=0.0)})
    assert samples("hpc_account_award_cpus", frames) == {("def-kim",): 100.0}
    assert samples("hpc_account_award_gpus", frames) == {("def-lee",): 0.0}
    assert len(samples("hpc_cluster_usage_rolled_timestamp_seconds", frames)) == 1
    assert samples("hpc_account_info", frames) == {}
