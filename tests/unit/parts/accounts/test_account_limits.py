"""Which limits hold, and what is used of them: as slurmctld counts."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api.standings import Limit
from aggregator.model.accounting import JobState, Run
from aggregator.model.association import Association, Associations, Qos
from tests.accounts import make_left
from tests.builders import GIB, HOSTILE_NAMES, NOW, make_allocation, make_association, make_run
from tests.standings import Fairshare, Standing, Standings, join_standings

CPU, GPU = ("GrpTRES", "cpu"), ("GrpTRES", "gres/gpu")
ROOT, KIM = make_association("root"), make_association("def-kim")
SUB = make_association("def-kim-sub", parent="def-kim")
ALICE = make_association("def-kim", "alice")


def view(*rows: Association, runs: Iterable[Run] = (), qos: dict[int, Qos] | None = None) -> Standings:
    return join_standings(Associations.of(rows, qos), numbered(runs))


def numbered(runs: Iterable[Run]) -> list[Run]:
    """Give each run an id of its own."""
    return [replace(run, run_id=number, job_id=number) for number, run in enumerate(runs, start=1)]


def find(standing: Standing, limit: str, tres: str = "") -> list[Limit]:
    return [each for each in standing.limits if (each.limit, each.tres) == (limit, tres)]


def user(joined: Standings, name: str = "alice", account: str = "def-kim") -> Standing:
    (standing,) = joined.users[account, name]
    return standing


def with_limits(association: Association, limits: dict[tuple[str, str], float], **changes: object) -> Association:
    names = Association.__slots__
    return Association(**{**{name: getattr(association, name) for name in names}, "limits": limits, **changes})


def test_no_association_is_no_limit_and_no_error() -> None:
    assert view(runs=[make_run()]) == Standings()


def test_a_group_limit_holds_for_everything_below_and_counts_it() -> None:
    joined = view(
        ROOT, with_limits(KIM, {CPU: 50.0, ("GrpJobs", ""): 10.0}), SUB, ALICE, make_association("def-kim-sub", "dave"),
        runs=[make_run(), make_run(user="dave", account="def-kim-sub"), make_run(user="bob", account="def-lee")],
    )  # fmt: skip
    for standing in (joined.accounts["def-kim"], joined.accounts["def-kim-sub"], user(joined)):
        (cpus,), (jobs,) = find(standing, *CPU), find(standing, "GrpJobs")
        assert (cpus.value, cpus.used, cpus.headroom, cpus.account) == (50.0, 16.0, 34.0, "def-kim")
        assert (jobs.used, jobs.headroom) == (2.0, 8.0)
    assert find(joined.accounts["root"], *CPU) == []


def test_every_level_has_its_own_group_limit() -> None:
    joined = view(
        ROOT, with_limits(KIM, {CPU: 50.0}), with_limits(SUB, {CPU: 80.0}), make_association("def-kim-sub", "dave"),
        runs=[make_run(user="dave", account="def-kim-sub"), make_run(user="eve")],
    )  # fmt: skip
    limits = find(user(joined, "dave", "def-kim-sub"), *CPU)
    assert [(limit.account, limit.headroom) for limit in limits] == [("def-kim-sub", 72.0), ("def-kim", 34.0)]


def test_the_other_limits_are_those_of_the_nearest_that_sets_them_tres_by_tres() -> None:
    root = with_limits(ROOT, {("MaxJobs", ""): 100.0, ("MaxTRES", "cpu"): 64.0, ("MaxTRES", "node"): 9.0})
    kim = with_limits(KIM, {("MaxTRES", "cpu"): 32.0})
    alice = with_limits(ALICE, {("MaxJobs", ""): 0.0})
    joined = view(root, kim, alice, make_association("def-kim", "bob"), runs=[make_run()])
    found = {(limit.limit, limit.tres): (limit.value, limit.account) for limit in user(joined).limits}
    assert found == {
        ("MaxJobs", ""): (0.0, "def-kim"), ("MaxTRES", "cpu"): (32.0, "def-kim"), ("MaxTRES", "node"): (9.0, "root"),
    }  # fmt: skip
    (jobs,) = find(user(joined), "MaxJobs")
    assert (jobs.user, jobs.used, jobs.headroom) == ("alice", 1.0, -1.0), "0 is a limit, and headroom can be negative"
    assert [(limit.value, limit.used) for limit in find(user(joined, "bob"), "MaxJobs")] == [(100.0, 0.0)]


def test_what_one_job_may_have_and_what_an_accounts_users_may_is_not_used_by_anybody() -> None:
    kim = with_limits(KIM, {("MaxTRES", "cpu"): 32.0, ("MaxJobs", ""): 5.0, ("GrpTRESMins", "cpu"): 6e6})
    joined = view(ROOT, kim, ALICE, runs=[make_run()])
    assert {limit.used for limit in joined.accounts["def-kim"].limits} == {None}
    assert {limit.limit for limit in user(joined).limits if limit.used is None} == {"MaxTRES", "GrpTRESMins"}


def test_jobs_count_when_they_run_and_tasks_when_they_are_submitted() -> None:
    limits = {("GrpJobs", ""): 10.0, ("GrpSubmitJobs", ""): 10.0, CPU: 99.0}
    waiting = make_run(state=JobState.PENDING, start=None, pending_tasks=5, allocated=make_allocation(cpus=0), nodes=())
    ended = make_run(state=JobState.COMPLETED, end=NOW - 1)
    joined = view(ROOT, with_limits(KIM, limits), runs=[make_run(state=JobState.SUSPENDED), waiting, ended])
    used = {limit.limit: limit.used for limit in joined.accounts["def-kim"].limits}
    assert used == {"GrpJobs": 1.0, "GrpSubmitJobs": 6.0, "GrpTRES": 8.0}


def test_running_minutes_are_what_is_held_times_what_is_left_of_the_time_limit() -> None:
    keys = {("GrpTRESRunMins", tres): 1e15 for tres in ("cpu", "mem")}
    joined = view(ROOT, with_limits(KIM, keys), runs=[make_run(), make_run(time_limit_seconds=60.0)])
    used = {limit.tres: limit.used for limit in joined.accounts["def-kim"].limits}
    assert used == {"cpu": 8 * 3600.0, "mem": 64.0 * GIB * 3600}, "a run over its limit has nothing left"
    units = {limit.unit for limit in joined.accounts["def-kim"].limits}
    assert units == {"cpu-seconds", "byte-seconds"}


def test_with_a_run_without_a_time_limit_running_minutes_are_not_known() -> None:
    limits = {("GrpTRESRunMins", "cpu"): 1e9, CPU: 50.0}
    joined = view(ROOT, with_limits(KIM, limits), runs=[make_run(), make_run(time_limit_seconds=None)])
    used = {limit.limit: (limit.used, limit.headroom) for limit in joined.accounts["def-kim"].limits}
    assert used == {"GrpTRESRunMins": (None, None), "GrpTRES": (16.0, 34.0)}


def test_gpus_count_by_type_and_all_together() -> None:
    kim = with_limits(KIM, {GPU: 4.0, ("GrpTRES", "gres/gpu:a100"): 2.0, ("GrpTRES", "gres/gpu:h100"): 1.0})
    run = make_run(allocated=make_allocation(gpus={"a100": 2, "": 1}))
    joined = view(ROOT, kim, runs=[run])
    used = {limit.tres: limit.used for limit in joined.accounts["def-kim"].limits}
    assert used == {"gres/gpu": 3.0, "gres/gpu:a100": 2.0, "gres/gpu:h100": 0.0}


def test_a_node_that_two_jobs_share_counts_once() -> None:
    kim = with_limits(KIM, {("GrpTRES", "node"): 3.0})
    runs = [make_run(nodes=("n1", "n2")), make_run(nodes=("n2",))]
    assert view(ROOT, kim, runs=runs).accounts["def-kim"].limits[0].used == 2.0
    unknown = [*runs, make_run(nodes=())]
    assert view(ROOT, kim, runs=unknown).accounts["def-kim"].limits[0].used is None


BILLED = {("GrpTRES", "billing"): 90.0, ("GrpTRES", "license/x"): 5.0, ("GrpTRESRunMins", "license/x"): 1e6}


def test_licenses_and_billing_are_used_as_a_run_holds_them() -> None:
    held = [make_allocation(billing=20, licenses={"x": 2}), make_allocation(billing=0), make_allocation(billing=1)]
    joined = view(ROOT, with_limits(KIM, BILLED), runs=[make_run(allocated=each) for each in held])
    used = {(limit.limit, limit.tres): limit.used for limit in joined.accounts["def-kim"].limits}
    assert used == {
        ("GrpTRES", "billing"): 21.0, ("GrpTRES", "license/x"): 2.0, ("GrpTRESRunMins", "license/x"): 7200.0,
    }  # fmt: skip


def test_billing_that_one_run_does_not_tell_is_not_known() -> None:
    runs = [make_run(allocated=make_allocation(billing=20)), make_run(user="bob")]
    joined = view(ROOT, with_limits(KIM, BILLED), ALICE, runs=runs)
    assert {limit.tres: limit.used for limit in joined.accounts["def-kim"].limits} == {
        "billing": None, "license/x": 0.0,
    }  # fmt: skip
    assert find(user(joined), "GrpTRES", "billing")[0].used is None, "the account's limit holds for all below"


MINUTES = {("GrpTRESMins", "cpu"): 6000.0, ("GrpTRESMins", "gres/gpu"): 60.0, ("GrpWall", ""): 3600.0}
LEFT = make_left({"cpu", "billing"}, {ALICE.id: {"cpu": 7.0}}, {"def-kim": {"cpu": 4000.0}})


def test_minutes_are_used_by_what_is_left_of_past_usage_at_each_level() -> None:
    alice = with_limits(ALICE, {("GrpTRESMins", "cpu"): 5.0})
    joined = join_standings(Associations.of((ROOT, with_limits(KIM, MINUTES), alice)), [make_run()], NOW, LEFT)
    used = {(limit.limit, limit.tres): limit.used for limit in joined.accounts["def-kim"].limits}
    assert used == {("GrpTRESMins", "cpu"): 4000.0, ("GrpTRESMins", "gres/gpu"): None, ("GrpWall", ""): None}
    own, above = find(user(joined), "GrpTRESMins", "cpu")
    assert (own.used, own.headroom, above.used) == (7.0, -2.0, 4000.0)


def test_without_knowing_how_usage_decays_or_counts_no_minutes_are_used() -> None:
    kim, factor = with_limits(KIM, MINUTES), {1: Qos("twice", usage_factor=2.0)}
    unknown = join_standings(Associations.of((ROOT, kim)), [make_run()])
    weighted = Associations.of((ROOT, with_limits(kim, MINUTES, qos=frozenset({1}))), factor)
    for joined in (unknown, join_standings(weighted, [make_run()], NOW, LEFT)):
        assert {limit.used for limit in joined.accounts["def-kim"].limits} == {None}
        assert joined.accounts["def-kim"].fairshare == Fairshare()


def test_shares_and_usage_give_each_association_its_level() -> None:
    left = make_left({"billing"}, {}, {"root": {"billing": 8.0}, "def-kim": {"billing": 2.0}})
    joined = join_standings(Associations.of((ROOT, KIM, ALICE)), (), NOW, left, {"def-kim": 3.5})
    assert joined.accounts["def-kim"].fairshare == Fairshare(0.25, 3.5, "slurm_exporter")
    assert user(joined).fairshare == Fairshare(0.0, None, "approximation")


def test_a_partitions_own_association_counts_its_jobs_and_the_other_the_rest() -> None:
    alice = with_limits(ALICE, {("MaxJobs", ""): 9.0})
    in_gpu = make_association("def-kim", "alice", id=7, partition="gpu", limits={("MaxJobs", ""): 2.0})
    # One was there before its partition had an association: slurmctld leaves it where it is.
    runs = [make_run(association_id=number, partition="gpu") for number in (7, alice.id, None)]
    every, gpu = view(ROOT, KIM, alice, in_gpu, runs=runs).users["def-kim", "alice"]
    assert (every.partition, every.limits[0].value, every.limits[0].used) == ("", 9.0, 2.0)
    assert (gpu.partition, gpu.limits[0].partition, gpu.limits[0].used) == ("gpu", "gpu", 1.0)


def test_deleted_associations_limit_nobody() -> None:
    gone = make_association("def-old", deleted=True, limits={CPU: 1.0}, users_are_coordinators=True)
    user_of = make_association("def-old", "alice", deleted=True)
    assert view(ROOT, gone, user_of).accounts.keys() == {"root"}
    assert view(ROOT, gone, user_of).users == {}
    assert view(ROOT, gone, user_of).coordinators == {}


HIGH = Qos("high", {("MaxJobsPerUser", ""): 3.0, CPU: 90.0, ("MaxTRESPerAccount", "cpu"): 60.0})
NORMAL = Qos("normal", {("MaxWall", ""): 3600.0})


def test_a_qos_that_one_may_use_overrides_what_it_sets_itself() -> None:
    root = with_limits(ROOT, {("MaxJobs", ""): 9.0, ("MaxSubmitJobs", ""): 9.0, CPU: 5.0, GPU: 5.0}, qos=frozenset({1}))
    alice = with_limits(ALICE, {}, added_qos=frozenset({2}))
    joined = view(root, KIM, alice, make_association("def-kim", "bob"), qos={1: NORMAL, 2: HIGH})
    overridden = {(limit.limit, limit.tres): limit.overridden_by for limit in user(joined).limits if not limit.qos}
    assert overridden == {("MaxJobs", ""): ("high",), ("MaxSubmitJobs", ""): (), CPU: ("high",), GPU: ()}
    assert {limit.overridden_by for limit in user(joined, "bob").limits} == {()}, "bob may not use it"


def test_qos_that_are_set_replace_those_above_and_changes_are_applied_going_down() -> None:
    qos = {n: Qos(f"q{n}", {("MaxJobsPerUser", ""): float(n)}) for n in range(1, 6)}
    root = with_limits(ROOT, {}, qos=frozenset({1, 2}))
    kim = with_limits(KIM, {}, added_qos=frozenset({3}), removed_qos=frozenset({1}))
    alice = with_limits(ALICE, {}, added_qos=frozenset({1}), removed_qos=frozenset({3}))
    bob = make_association("def-kim", "bob", qos=frozenset({5, 99}))
    joined = view(root, kim, alice, bob, make_association("def-kim", "carol"), qos=qos)
    names = {name: [limit.qos for limit in user(joined, name).limits] for name in ("alice", "bob", "carol")}
    assert names == {"alice": ["q1", "q2"], "bob": ["q5"], "carol": ["q2", "q3"]}


def test_a_qos_counts_its_own_jobs_of_a_user_in_all_accounts_of_an_account_and_of_all() -> None:
    root = with_limits(ROOT, {}, qos=frozenset({2}))
    runs = [
        make_run(qos="high"), make_run(qos="high", account="def-kim-sub"), make_run(), make_run(user="bob", qos="high"),
    ]  # fmt: skip
    joined = view(root, KIM, SUB, ALICE, runs=runs, qos={2: HIGH})
    (per_user,) = find(user(joined), "MaxJobsPerUser")
    (per_account,) = find(joined.accounts["def-kim"], "MaxTRESPerAccount", "cpu")
    (high,) = joined.qos
    assert (per_user.used, per_user.qos) == (2.0, "high")
    assert per_account.used == 16.0
    assert {limit.limit: limit.used for limit in high.limits} == {
        "GrpTRES": 24.0, "MaxJobsPerUser": None, "MaxTRESPerAccount": None,
    }  # fmt: skip


def test_coordinators_are_those_named_and_all_users_below_an_account_that_says_so() -> None:
    kim = with_limits(KIM, {}, users_are_coordinators=True)
    rows = (ROOT, kim, SUB, ALICE, make_association("def-kim-sub", "dave"), make_association("def-lee"),
            make_association("def-lee", "bob"))  # fmt: skip
    joined = join_standings(Associations.of(rows, {}, [("def-lee", "carol")]))
    assert joined.coordinators == {
        "def-kim": frozenset({"alice"}), "def-kim-sub": frozenset({"dave"}), "def-lee": frozenset({"carol"}),
    }  # fmt: skip


def test_names_may_be_anything_and_a_tree_that_loops_ends() -> None:
    rows = [
        make_association(name, parent=HOSTILE_NAMES[n - 1], limits={CPU: 8.0}) for n, name in enumerate(HOSTILE_NAMES)
    ]
    runs = [make_run(account=name, user=name) for name in HOSTILE_NAMES]
    joined = view(*rows, *(make_association(name, name) for name in HOSTILE_NAMES), runs=runs)
    for name in HOSTILE_NAMES:
        assert {limit.used for limit in joined.accounts[name].limits} == {8.0 * len(HOSTILE_NAMES)}
        assert len(user(joined, name, name).limits) == len(HOSTILE_NAMES)


NAMES = ["root", "a", "b", "c", "d"]
TREES = st.builds(
    # Each account's parent comes before it: a sound tree.
    lambda parents: [ROOT, *(
        make_association(name, parent=NAMES[parent % (n + 1)], limits={CPU: 100.0, ("GrpSubmitJobs", ""): 50.0})
        for n, (name, parent) in enumerate(zip(NAMES[1:], parents, strict=True))
    )],
    st.lists(st.integers(0, 4), min_size=4, max_size=4),
)  # fmt: skip
RUNS = st.lists(
    st.builds(
        make_run,
        account=st.sampled_from(NAMES),
        user=st.sampled_from(["alice", "bob"]),
        qos=st.sampled_from(["", "normal"]),
        state=st.sampled_from([JobState.RUNNING, JobState.PENDING]),
        end=st.sampled_from([None, None, NOW]),
        pending_tasks=st.integers(0, 9),
        time_limit_seconds=st.sampled_from([60.0, 7200.5, 9e5]),
        allocated=st.builds(make_allocation, cpus=st.integers(0, 99), memory_bytes=st.integers(0, 2**28)),
    ),
    max_size=12,
)


@given(TREES, RUNS)
def test_what_an_account_uses_is_its_own_jobs_and_what_its_children_use(
    rows: list[Association], runs: list[Run]
) -> None:
    rows = [with_limits(row, {CPU: 1.0, ("GrpTRESRunMins", "mem"): 1.0, ("GrpSubmitJobs", ""): 1.0}) for row in rows]
    joined = view(*rows, runs=runs)

    def used(name: str) -> list[float | None]:
        return [limit.used for limit in joined.accounts[name].limits if limit.account == name]

    for row in rows:
        own = [run for run in runs if run.is_open and run.account == row.account]
        parts = [own_use(own)]
        parts += [used(child.account) for child in rows if child.parent == row.account]
        assert used(row.account) == [sum(filter(None, column)) for column in zip(*parts, strict=True)]


def own_use(runs: list[Run]) -> list[float | None]:
    """Give what runs use of submitted jobs, CPUs and what is left of memory × time, in the order of the limits."""
    running = [run for run in runs if run.holds_resources]
    left = [round(max(0.0, (run.time_limit_seconds or 0.0) - run.limited_seconds(NOW))) for run in running]
    seconds = sum((run.allocated.memory_bytes or 0) * time for run, time in zip(running, left, strict=True))
    submitted = sum(run.pending_tasks or 1 for run in runs)
    return [float(submitted), float(sum(run.allocated.cpus for run in running)), float(seconds)]


@given(RUNS, st.permutations(range(12)))
def test_what_runs_hold_adds_up_in_any_order(runs: list[Run], order: list[int]) -> None:
    kim = with_limits(ROOT, {CPU: 1.0, ("GrpTRESRunMins", "mem"): 1.0, ("GrpTRES", "node"): 1.0})
    some = numbered(runs)
    shuffled = [some[number] for number in order if number < len(some)]
    rows = Associations.of([kim, *(make_association(name) for name in NAMES[1:])])
    assert join_standings(rows, some) == join_standings(rows, shuffled)


@given(st.floats(0, 1e15), st.floats(0, 1e15), st.none() | st.integers(0, 2**50).map(float))
def test_raising_a_limit_never_lowers_the_headroom(one: float, other: float, used: float | None) -> None:
    low, high = (Limit(limit="GrpTRES", tres="cpu", value=value, used=used).headroom for value in sorted((one, other)))
    assert (low is None) == (high is None) == (used is None)
    assert low is None or high is None or low <= high


@pytest.mark.parametrize(
    ("limit", "tres", "unit"),
    [
        ("GrpTRES", "mem", "bytes"), ("GrpTRES", "gres/gpu:a100", "gpus"), ("GrpTRESMins", "mem", "byte-seconds"),
        ("MaxTRESRunMinsPerUser", "cpu", "cpu-seconds"), ("GrpWall", "", "seconds"), ("GrpJobs", "", "jobs"),
        ("MaxTRES", "license/matlab", "count"), ("GrpTRESMins", "billing", "billing-seconds"),
    ],
)  # fmt: skip
def test_units_are_base_units(limit: str, tres: str, unit: str) -> None:
    assert Limit(limit=limit, tres=tres, value=1.0).unit == unit
