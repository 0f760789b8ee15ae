"""Whose input and output it is: requeues, reused ids, processes, the proxy's labels, and what cannot be told."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.cluster import join_cluster
from aggregator.join.lustre import join_lustre, names_of, unnamed
from aggregator.model.accounting import Accounting, JobState, Run
from aggregator.model.lustre import KINDS, JobLustre, LustreIo, LustreSums, LustreUse, LustreView, Sender
from tests.builders import FAIR_SHARE, HOSTILE_NAMES, NOW, make_run

FS = "scratch"


def make_lustre(*rates: tuple[Sender, float], **changes: Any) -> LustreUse:
    """Make a fetch in which these senders read."""
    return LustreUse(**{"time": NOW, "read": dict(rates), "coverage": {FS: 1.0}, **changes})


def read(view: LustreView) -> dict[tuple[str, str], float | None]:
    return {(sums.account, sums.user): sums.filesystems[FS].read for sums in view.users}


def test_a_jobs_rate_is_its_runs_its_users_and_its_accounts() -> None:
    view = join_lustre(make_lustre((Sender(FS, 4711), 10.0)), [make_run()], {})
    assert view.jobs == {101: JobLustre({FS: LustreIo(read=10.0)}, 1.0)}
    assert view.users == (LustreSums("def-kim", "alice", {FS: LustreIo(read=10.0)}),)
    assert view.accounts == (LustreSums("def-kim", "", {FS: LustreIo(read=10.0)}),)
    assert view.parts == {"jobs": {FS: LustreIo(read=10.0)}}


def test_nothing_measured_is_nothing_and_a_job_without_a_series_has_no_rate() -> None:
    view = join_lustre(make_lustre(), [make_run()], {})
    assert (view.users, view.accounts, view.parts) == ((), (), {})
    assert view.jobs == {101: JobLustre({}, 1.0)}


def test_a_process_outside_of_jobs_is_its_users_without_an_account() -> None:
    view = join_lustre(make_lustre((Sender(FS, uid=20017), 10.0)), [], {20017: "dave"})
    assert read(view) == {("", "dave"): 10.0}
    assert (view.accounts, view.parts) == ((), {"users": {FS: LustreIo(read=10.0)}})


@pytest.mark.parametrize(
    ("sender", "user"),
    [
        (Sender(FS, uid=20017, user="ldap"), "ldap"),
        (Sender(FS, uid=20017), "20017"),
        (Sender(FS, uid=0, user="toor"), "root"),
    ],
)
def test_a_uid_without_a_name_has_the_proxys_name_or_stays_a_uid(sender: Sender, user: str) -> None:
    assert read(join_lustre(make_lustre((sender, 1.0)), [], {})) == {("", user): 1.0}


def test_a_job_that_slurmacct_does_not_know_is_whose_the_proxy_says_and_else_unknown() -> None:
    known, unknown = Sender(FS, 1, user="bob", account="def-lee"), Sender(FS, 2, user="bob")
    view = join_lustre(make_lustre((known, 1.0), (unknown, 2.0)), [make_run()], {})
    assert read(view) == {("def-lee", "bob"): 1.0}
    assert view.parts["unknown"] == {FS: LustreIo(read=2.0)}


def test_slurmacct_is_believed_before_the_proxy() -> None:
    view = join_lustre(make_lustre((Sender(FS, 4711, user="mallory", account="x"), 1.0)), [make_run()], {})
    assert read(view) == {("def-kim", "alice"): 1.0}


def requeued(ended: float, **changes: Any) -> list[Run]:
    before = make_run(run_id=100, state=JobState.REQUEUED, start=NOW - 9000, end=ended, **changes)
    return [before, make_run(start=ended + 60)]


def test_after_a_requeue_within_the_window_the_rate_is_the_users_and_no_runs() -> None:
    view = join_lustre(make_lustre((Sender(FS, 4711), 1.0)), requeued(NOW - 300), {})
    assert view.jobs == {}
    assert read(view) == {("def-kim", "alice"): 1.0}


def test_a_requeue_before_the_window_and_the_clocks_leaves_the_rate_to_the_new_run() -> None:
    view = join_lustre(make_lustre((Sender(FS, 4711), 1.0)), requeued(NOW - 391), {})
    assert view.jobs.keys() == {101}


def test_clocks_that_differ_by_30_s_do_not_give_the_previous_runs_rate_to_the_next() -> None:
    """The window is 360 s: its first sample may be of 390 s ago by slurmctld's clock."""
    assert join_lustre(make_lustre((Sender(FS, 4711), 1.0)), requeued(NOW - 389), {}).jobs == {}


def test_a_job_id_used_again_by_another_user_within_the_window_is_nobodys() -> None:
    view = join_lustre(make_lustre((Sender(FS, 4711), 1.0)), requeued(NOW - 300, user="bob"), {})
    assert (view.users, view.jobs) == ((), {})
    assert view.parts == {"unknown": {FS: LustreIo(read=1.0)}}


def test_what_is_written_back_late_is_the_users_of_the_run_that_has_ended() -> None:
    ended = make_run(state=JobState.COMPLETED, end=NOW - 500)
    view = join_lustre(make_lustre((Sender(FS, 4711), 1.0)), [ended], {})
    assert (read(view), view.jobs) == ({("def-kim", "alice"): 1.0}, {})


def test_a_run_younger_than_a_scrape_has_no_rate_yet() -> None:
    assert join_lustre(make_lustre((Sender(FS, 4711), 1.0)), [make_run(start=NOW - 89)], {}).jobs == {}


def test_coverage_is_that_of_the_jobs_worst_file_system_or_of_all_where_it_has_none() -> None:
    use = make_lustre((Sender("home", 4711), 1.0), coverage={FS: 0.5, "home": 0.75})
    assert join_lustre(use, [make_run()], {}).jobs[101].coverage == 0.75
    assert join_lustre(use, [make_run(job_id=1)], {}).jobs[101].coverage == 0.5
    assert join_lustre(make_lustre(coverage={}), [make_run()], {}).jobs[101].coverage is None


def test_a_kind_that_could_not_be_read_is_not_known_and_not_0() -> None:
    view = join_lustre(make_lustre(read=None, metadata={Sender(FS, 4711): 0.0}), [make_run()], {})
    assert view.users[0].filesystems == {FS: LustreIo(metadata=0.0)}
    assert (view.users[0].bytes, view.users[0].metadata) == (None, 0.0)


def test_file_systems_and_directions_add_up_for_a_job_and_a_user() -> None:
    rates = {Sender(FS, 4711): 1.0, Sender("home", 4711): 2.0}
    view = join_lustre(make_lustre(read=rates, write=rates, metadata=rates), [make_run()], {})
    assert (view.users[0].bytes, view.users[0].metadata) == (6.0, 3.0)
    assert (view.jobs[101].bytes, view.jobs[101].metadata) == (6.0, 3.0)


def test_names_of_uids_are_learned_from_runs_and_those_without_are_named() -> None:
    runs = [make_run(uid=20017), make_run(uid=None)]
    assert names_of(runs) == {20017: "alice"}
    use = make_lustre((Sender(FS, uid=20017), 1.0), (Sender(FS, uid=5), 1.0), (Sender(FS, uid=0), 1.0))
    assert unnamed(use, names_of(runs)) == {5}


def test_the_clusters_jobs_have_their_rates() -> None:
    lustre = join_lustre(make_lustre((Sender(FS, 4711), 1.0)), [make_run()], {})
    view = join_cluster(
        "narval", NOW, Accounting(NOW, (make_run(),)), None, previous={}, fair_share=FAIR_SHARE, awards={},
        lustre=lustre,
    )  # fmt: skip
    assert view.jobs[0].lustre == JobLustre({FS: LustreIo(read=1.0)}, 1.0)
    assert view.lustre is lustre


NAMES = st.sampled_from(("", "alice", *HOSTILE_NAMES))
SENDERS = st.builds(
    Sender,
    st.sampled_from(("", FS, "home")),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(0, 4),
    NAMES,
    NAMES,
)
RATES = st.none() | st.dictionaries(SENDERS, st.floats(0, 1e15), max_size=30)
TIMES = st.floats(NOW - 1000, NOW + 60)
RUNS = st.lists(
    st.builds(
        lambda job_id, user, start, end: make_run(run_id=job_id, job_id=job_id, user=user, start=start, end=end),
        st.integers(1, 5), NAMES, st.none() | TIMES, st.none() | TIMES,
    ),
    max_size=12,
)  # fmt: skip


@given(RATES, RATES, RATES, RUNS)
def test_users_and_the_unknown_add_up_to_what_was_measured(
    reads: Any, writes: Any, operations: Any, runs: list[Run]
) -> None:
    use = make_lustre(read=reads, write=writes, metadata=operations)
    view = join_lustre(use, runs, {})
    for kind in KINDS:
        measured: dict[str, float] = defaultdict(float)
        for sender, rate in (getattr(use, kind) or {}).items():
            measured[sender.filesystem] += rate
        of_users = [sums.filesystems for sums in view.users]
        assert add_up((*of_users, view.parts.get("unknown", {})), kind) == pytest.approx(measured)
        assert add_up(view.parts.values(), kind) == pytest.approx(measured)


def add_up(filesystems: Iterable[Mapping[str, LustreIo]], kind: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for each in filesystems:
        for name, rates in each.items():
            if (rate := getattr(rates, kind)) is not None:
                found[name] += rate
    return found


@given(RATES, RUNS)
def test_no_run_and_no_account_has_more_than_its_users(reads: Any, runs: list[Run]) -> None:
    view = join_lustre(make_lustre(read=reads), runs, {})
    for sums in view.accounts:
        of_users = [user.filesystems for user in view.users if user.account == sums.account]
        for name, rates in sums.filesystems.items():
            assert rates.read == pytest.approx(sum(each[name].read or 0.0 for each in of_users if name in each))
    jobs = sum(rates.read or 0.0 for job in view.jobs.values() for rates in job.filesystems.values())
    assert jobs <= sum(sum(rates.read or 0.0 for rates in part.values()) for part in view.parts.values()) * (1 + 1e-9)
