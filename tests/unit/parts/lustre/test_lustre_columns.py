"""Whose input and output it is: requeues, reused ids, processes, the proxy's labels, and what cannot be told."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.engine.frame import Frames
from aggregator.engine.part import Inputs
from aggregator.model.accounting import JobState, Run
from aggregator.model.job_inputs import runs_of
from aggregator.model.lustre import KINDS, LustreUse
from aggregator.parts.lustre.columns import RATES
from tests.builders import HOSTILE_NAMES, NOW, make_run
from tests.lustre import LAYOUT, Sender, io, join_lustre, senders

FS = "scratch"
_OF_NOBODY: Mapping[Sender, float] = {}


def make_lustre(
    read: Mapping[Sender, float] | None = _OF_NOBODY,
    write: Mapping[Sender, float] | None = None,
    metadata: Mapping[Sender, float] | None = None,
    **changes: Any,
) -> LustreUse:
    """Make a fetch of these rates, by kind; None for a kind that could not be read."""
    found = {"read": read, "write": write, "metadata": metadata}
    rates = {kind: senders(of_kind) for kind, of_kind in found.items() if of_kind is not None}
    return LustreUse(**{"time": NOW, "rates": rates, "coverage": {FS: 1.0}, **changes})


def by_user(frames: Frames) -> dict[tuple[str, str], float | None]:
    return {(row["account"], row["user"]): row["read_bytes_per_second"] for row in rows(frames, "user_lustre")}


def by_part(frames: Frames) -> dict[str, float | None]:
    return {row["part"]: row["read_bytes_per_second"] for row in rows(frames, "cluster_lustre")}


def rows(frames: Frames, table: str) -> list[dict[str, Any]]:
    return frames[table].to_dicts()


def known(frames: Frames) -> set[int]:
    """Name the runs of which it is known what they do."""
    return set(frames["jobs"].filter("lustre_is_own")["run_id"])


def job(frames: Frames, run_id: int = 101) -> dict[str, Any]:
    return frames["jobs"].row(by_predicate=pl.col("run_id") == run_id, named=True)


def test_a_jobs_rate_is_its_runs_its_users_and_its_accounts() -> None:
    frames = join_lustre(make_lustre({Sender(FS, 4711): 10.0}), [make_run()])
    of_user, rate = {"user": "alice", "account": "def-kim"}, {"filesystem": FS, **io(read=10.0)}
    of_job = {"run_id": 101, "job_id": 4711, "is_owner": True, "coverage_ratio": 1.0}
    assert rows(frames, "job_lustre") == [{**of_job, **of_user, **rate}]
    assert rows(frames, "user_lustre") == [{**of_user, **rate}]
    assert rows(frames, "account_lustre") == [{"account": "def-kim", **rate}]
    assert rows(frames, "cluster_lustre") == [{"part": "jobs", **rate}]
    assert job(frames)["lustre_coverage_ratio"] == 1.0


def test_nothing_measured_is_nothing_and_a_job_without_a_series_has_no_rate() -> None:
    frames = join_lustre(make_lustre(), [make_run()])
    assert [frames[name].height for name in ("job_lustre", "user_lustre", "account_lustre", "cluster_lustre")] == [
        0
    ] * 4
    row = job(frames)
    assert (row["lustre_is_own"], row["lustre_coverage_ratio"]) == (True, 1.0)
    assert (row["lustre_bytes_per_second"], row["lustre_metadata_operations_per_second"]) == (None, None)


def test_where_lustre_is_not_read_nothing_is_said_of_any_run() -> None:
    row = job(LAYOUT.join(Inputs(runs_of([make_run()])), NOW).frames)
    assert (row["lustre_is_own"], row["lustre_coverage_ratio"]) == (None, None)


def test_without_slurmacct_nothing_can_be_said() -> None:
    joined = LAYOUT.join(Inputs(make_lustre({Sender(FS, 4711): 1.0})), NOW)
    assert not joined.failed
    assert all(frame.is_empty() for frame in joined.frames.values())


def test_a_process_outside_of_jobs_is_its_users_without_an_account() -> None:
    frames = join_lustre(make_lustre({Sender(FS, uid=20017): 10.0}), [], {20017: "dave"})
    assert by_user(frames) == {("", "dave"): 10.0}
    assert (frames["account_lustre"].height, by_part(frames)) == (0, {"users": 10.0})


@pytest.mark.parametrize(
    ("sender", "user"),
    [
        (Sender(FS, uid=20017, user="ldap"), "ldap"),
        (Sender(FS, uid=20017), "20017"),
        (Sender(FS, uid=0, user="toor"), "root"),
    ],
)
def test_a_uid_without_a_name_has_the_proxys_name_or_stays_a_uid(sender: Sender, user: str) -> None:
    assert by_user(join_lustre(make_lustre({sender: 1.0}), [])) == {("", user): 1.0}


def test_a_job_that_slurmacct_does_not_know_is_whose_the_proxy_says_and_else_unknown() -> None:
    told, unknown = Sender(FS, 1, user="bob", account="def-lee"), Sender(FS, 2, user="bob")
    frames = join_lustre(make_lustre({told: 1.0, unknown: 2.0}), [make_run()])
    assert by_user(frames) == {("def-lee", "bob"): 1.0}
    assert by_part(frames)["unknown"] == 2.0


def test_slurmacct_is_believed_before_the_proxy() -> None:
    frames = join_lustre(make_lustre({Sender(FS, 4711, user="mallory", account="x"): 1.0}), [make_run()])
    assert by_user(frames) == {("def-kim", "alice"): 1.0}


def requeued(ended: float, **changes: Any) -> list[Run]:
    before = make_run(run_id=100, state=JobState.REQUEUED, start=NOW - 9000, end=ended, **changes)
    return [before, make_run(start=ended + 60)]


def test_after_a_requeue_within_the_window_the_rate_is_the_users_and_no_runs() -> None:
    frames = join_lustre(make_lustre({Sender(FS, 4711): 1.0}), requeued(NOW - 300))
    assert (known(frames), frames["job_lustre"].height) == (set(), 0)
    assert job(frames)["lustre_is_own"] is False
    assert by_user(frames) == {("def-kim", "alice"): 1.0}


def test_a_requeue_before_the_window_and_the_clocks_leaves_the_rate_to_the_new_run() -> None:
    assert known(join_lustre(make_lustre({Sender(FS, 4711): 1.0}), requeued(NOW - 391))) == {101}


@pytest.mark.parametrize("seconds", [389, 390])
def test_clocks_that_differ_by_30_s_do_not_give_the_previous_runs_rate_to_the_next(seconds: int) -> None:
    """The window is 360 s: its first sample may be of 390 s ago by slurmctld's clock."""
    assert known(join_lustre(make_lustre({Sender(FS, 4711): 1.0}), requeued(NOW - seconds))) == set()


@pytest.mark.parametrize(("seconds", "found"), [(20, set()), (30, set()), (31, {100})])
def test_a_run_that_begins_by_another_clock_may_have_a_part_of_the_rate(seconds: int, found: set[int]) -> None:
    runs = [make_run(run_id=100), make_run(run_id=101, start=NOW + seconds)]
    assert known(join_lustre(make_lustre({Sender(FS, 4711): 1.0}), runs)) == found


def test_a_run_that_waits_again_leaves_the_rate_to_the_one_that_has_ended_and_no_series() -> None:
    ended, waiting = requeued(NOW - 300)
    waiting = make_run(state=JobState.PENDING, start=None)
    frames = join_lustre(make_lustre({Sender(FS, 4711): 1.0}), [ended, waiting])
    assert [(row["run_id"], row["is_owner"]) for row in rows(frames, "job_lustre")] == [(100, False)]


def test_a_job_id_used_again_by_another_user_within_the_window_is_nobodys() -> None:
    frames = join_lustre(make_lustre({Sender(FS, 4711): 1.0}), requeued(NOW - 300, user="bob"))
    assert (by_user(frames), known(frames)) == ({}, set())
    assert by_part(frames) == {"unknown": 1.0}


def test_what_is_written_back_late_is_the_users_of_the_run_that_has_ended() -> None:
    ended = make_run(state=JobState.COMPLETED, end=NOW - 500)
    frames = join_lustre(make_lustre({Sender(FS, 4711): 1.0}), [ended])
    assert (by_user(frames), known(frames)) == ({("def-kim", "alice"): 1.0}, set())


@pytest.mark.parametrize(("seconds", "found"), [(89, set()), (90, {101})])
def test_a_run_younger_than_a_scrape_has_no_rate_yet(seconds: int, found: set[int]) -> None:
    use = make_lustre({Sender(FS, 4711): 10.0}, interval=90.0)
    assert known(join_lustre(use, [make_run(start=NOW - seconds)])) == found


def test_coverage_is_that_of_the_jobs_worst_file_system_or_of_all_where_it_has_none() -> None:
    use = make_lustre({Sender("home", 4711): 1.0}, coverage={FS: 0.5, "home": 0.75})
    assert job(join_lustre(use, [make_run()]))["lustre_coverage_ratio"] == 0.75
    assert job(join_lustre(use, [make_run(job_id=1)]))["lustre_coverage_ratio"] == 0.5
    both = make_lustre({Sender("home", 4711): 1.0, Sender(FS, 4711): 1.0}, coverage={FS: 0.5, "home": 0.75})
    assert job(join_lustre(both, [make_run()]))["lustre_coverage_ratio"] == 0.5
    frames = join_lustre(make_lustre({Sender("home", 4711): 1.0}), [make_run()])
    assert job(frames)["lustre_coverage_ratio"] is None, "another file system's is not this one's"
    assert job(join_lustre(make_lustre(coverage={}), [make_run()]))["lustre_coverage_ratio"] is None


def test_a_kind_that_could_not_be_read_is_not_known_and_not_0() -> None:
    frames = join_lustre(make_lustre(None, metadata={Sender(FS, 4711): 0.0}), [make_run()])
    (row,) = rows(frames, "user_lustre")
    assert {name: row[name] for name in RATES.values()} == io(metadata=0.0)
    of_job = job(frames)
    assert of_job["lustre_bytes_per_second"] is None
    assert of_job["lustre_metadata_operations_per_second"] == 0.0


def test_file_systems_and_directions_add_up_for_a_job() -> None:
    rates = {Sender(FS, 4711): 1.0, Sender("home", 4711): 2.0}
    row = job(join_lustre(make_lustre(rates, {Sender(FS, 4711): 4.0}, rates), [make_run()]))
    assert (row["lustre_bytes_per_second"], row["lustre_metadata_operations_per_second"]) == (7.0, 3.0)


NAMES = st.sampled_from(("", "alice", *HOSTILE_NAMES))
SENDERS = st.builds(
    Sender,
    st.sampled_from(("", FS, "home")),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(0, 4),
    NAMES,
    NAMES,
)
MEASURED = st.none() | st.dictionaries(SENDERS, st.floats(0, 1e15), max_size=30)
TIMES = st.floats(NOW - 1000, NOW + 60)
RUNS = st.lists(
    st.builds(
        lambda run_id, job_id, user, start, end: make_run(
            run_id=run_id, job_id=job_id, user=user, start=start, end=end
        ),
        st.integers(1, 2**63), st.integers(1, 5), NAMES, st.none() | TIMES, st.none() | TIMES,
    ),
    max_size=12,
    unique_by=lambda run: run.run_id,
)  # fmt: skip


@given(MEASURED, MEASURED, MEASURED, RUNS)
def test_users_and_the_unknown_add_up_to_what_was_measured(
    reads: Any, writes: Any, operations: Any, runs: list[Run]
) -> None:
    frames = join_lustre(make_lustre(reads, writes, operations), runs)
    unknown = frames["cluster_lustre"].filter(pl.col("part") == "unknown")
    of_users = pl.concat([frames["user_lustre"], unknown], how="diagonal")
    for kind, rates in zip(KINDS, (reads, writes, operations), strict=True):
        measured: dict[str, float] = defaultdict(float)
        for sender, rate in (rates or {}).items():
            measured[sender.filesystem] += rate
        assert add_up(of_users, RATES[kind]) == pytest.approx(measured)
        assert add_up(frames["cluster_lustre"], RATES[kind]) == pytest.approx(measured)


def add_up(frame: pl.DataFrame, column: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for filesystem, rate in frame.select("filesystem", column).drop_nulls().iter_rows():
        found[filesystem] += rate
    return found


@given(MEASURED, RUNS)
def test_no_run_and_no_account_has_more_than_its_users(reads: Any, runs: list[Run]) -> None:
    frames = join_lustre(make_lustre(reads), runs)
    of_users = frames["user_lustre"].filter(pl.col("account") != "")
    for account, users in of_users.partition_by("account", as_dict=True).items():
        own = frames["account_lustre"].filter(pl.col("account") == account[0])
        assert add_up(own, RATES["read"]) == pytest.approx(add_up(users, RATES["read"]))
    jobs, parts = (sum(add_up(frames[name], RATES["read"]).values()) for name in ("job_lustre", "cluster_lustre"))
    assert jobs <= parts * (1 + 1e-9)


@given(MEASURED, RUNS)
def test_a_rate_is_a_runs_only_if_no_other_run_of_its_id_was_there_in_the_window(reads: Any, runs: list[Run]) -> None:
    frames = join_lustre(make_lustre(reads), runs)
    begin, end = NOW - 390, NOW + 30
    of_id = {run.run_id: run.job_id for run in runs}
    there = [run for run in runs if run.start is not None and run.start <= end and (run.end or end) >= begin]
    for run_id in known(frames):
        assert [run.run_id for run in there if run.job_id == of_id[run_id]] == [run_id]
    assert set(frames["job_lustre"]["run_id"]) <= known(frames)
