"""Literal rows of the job table, as slurmdbd 20.11 to 26.05 writes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.accounting import JobState, Run
from aggregator.model.association import Association
from aggregator.model.job_inputs import runs_of
from aggregator.model.tres import Allocation
from aggregator.sources.mysql import text
from aggregator.sources.slurmacct.rows import (
    NO_VAL,
    PACKED,
    Dimensions,
    RunRow,
    close_replaced,
    parse_dimensions,
    parse_run,
    renamed,
    sharing,
    unpack,
)

NOW = 1_800_000_000
INFINITE = NO_VAL + 1
ASSOCIATIONS = [
    Association(id=1, account="root"),
    Association(id=2, account="root", user="root"),
    Association(id=3, account="def-kim", parent="root"),
    Association(id=4, account="def-kim", user="alice"),
    Association(id=5, account="def-old", user="bob", deleted=True),
    Association(id=6, account="def-old", parent="root", deleted=True),
]
TRES = [(1, b"cpu", b""), (2, b"mem", b""), (3, b"energy", b""), (4, b"node", b""), (5, b"billing", b""),
        (1001, b"gres", b"gpu"), (1002, b"gres", b"gpu:a100"), (1003, b"license", b"matlab")]  # fmt: skip
DIMENSIONS = parse_dimensions(ASSOCIATIONS, TRES, {1: "normal", 9: "high"})


def make_row(**changes: Any) -> RunRow:
    """Make the row of a running job, as 22.05.8 has it."""
    return RunRow(**{
        "job_db_inx": 101, "id_job": 4711, "id_assoc": 4, "id_user": 3001, "account": b"def-kim", "partition": b"cpu",
        "job_name": b"train.sh", "state": 1, "time_submit": NOW - 7200, "time_eligible": NOW - 7200,
        "time_start": NOW - 3600, "time_end": 0, "time_suspended": 0, "timelimit": 120,
        "tres_alloc": b"1=8,2=65536,3=18446744073709551614,4=1,5=8,1001=2,1002=2", "tres_req": b"1=4,2=1024,4=1",
        "nodelist": b"node[01-02]", "id_qos": 1, "id_array_job": 0, "id_array_task": NO_VAL, "array_task_pending": 0,
        "het_job_id": 0, "het_job_offset": NO_VAL, **changes,
    })  # fmt: skip


def parse(at: float = NOW, **changes: Any) -> Run:
    run = parse_run("narval", make_row(**changes), DIMENSIONS, at)
    assert run is not None
    return run


def test_a_running_row_is_a_run() -> None:
    assert parse() == Run(
        cluster="narval", run_id=101, job_id=4711, user="alice", account="def-kim", state=JobState.RUNNING,
        submit=NOW - 7200.0, partition="cpu", qos="normal", name="train.sh", eligible=NOW - 7200.0, start=NOW - 3600.0,
        time_limit_seconds=7200.0, allocated=Allocation(8, 64 * 2**30, 1, {"a100": 2}, 8),
        requested=Allocation(4, 2**30, 1, {}), nodes=("node01", "node02"), association_id=4, uid=3001,
    )  # fmt: skip


def test_a_pending_row_has_not_started_and_holds_nothing() -> None:
    run = parse(state=0, time_start=0, tres_alloc=b"", nodelist=b"None assigned")
    assert (run.start, run.allocated, run.nodes, run.holds_resources) == (None, Allocation(), (), False)


@pytest.mark.parametrize(
    ("number", "state"),
    [(0, JobState.PENDING), (2, JobState.SUSPENDED), (3, JobState.COMPLETED), (11, JobState.OUT_OF_MEMORY),
     (1024, JobState.REQUEUED), (8192, JobState.RESIZING), (0x8001, JobState.RUNNING), (0x4003, JobState.COMPLETED)],
)  # fmt: skip
def test_every_state_that_is_written_is_known(number: int, state: JobState) -> None:
    assert parse(state=number).state is state


@pytest.mark.parametrize("number", [524288, 12, 200, 255])
def test_revoked_siblings_and_unknown_states_are_dropped(number: int) -> None:
    assert parse_run("narval", make_row(state=number), DIMENSIONS, NOW) is None


def test_a_requeued_row_has_ended() -> None:
    run = parse(state=1024, time_end=NOW - 60)
    assert (run.state, run.end, run.is_open, run.holds_resources) == (JobState.REQUEUED, NOW - 60.0, False, False)


def test_a_job_cancelled_before_its_start_never_ran() -> None:
    run = parse(state=4, time_start=0, time_end=NOW - 60)
    assert (run.start, run.elapsed(NOW), run.is_open) == (None, 0.0, False)


def test_an_array_that_is_not_split_stands_for_its_pending_tasks() -> None:
    run = parse(state=0, time_start=0, id_array_job=4711, id_array_task=NO_VAL, array_task_pending=96)
    assert (run.array_job_id, run.array_task_id, run.pending_tasks) == (4711, None, 96)
    assert run.display_id == "4711_[…]"


def test_a_task_has_its_array_and_its_number() -> None:
    run = parse(id_job=4712, id_array_job=4711, id_array_task=0)
    assert (run.array_job_id, run.array_task_id, run.display_id) == (4711, 0, "4711_0")


def test_an_old_row_with_task_zero_and_no_array_is_no_task() -> None:
    run = parse(id_array_job=0, id_array_task=0)
    assert (run.array_job_id, run.array_task_id, run.display_id) == (None, None, "4711")


def test_a_component_has_its_leader_and_its_offset() -> None:
    assert parse(het_job_id=4710, het_job_offset=1).display_id == "4710+1"
    assert parse(het_job_id=4711, het_job_offset=0).het_offset == 0
    assert parse(het_job_id=0, het_job_offset=0).het_job_id is None


@pytest.mark.parametrize("value", [0, INFINITE, NO_VAL])
def test_a_time_that_has_not_come_is_none(value: int) -> None:
    """An array-throttled row is eligible at INFINITE, a held one at 0."""
    assert parse(state=0, time_eligible=value, time_start=0).eligible is None


@pytest.mark.parametrize("value", [0, NO_VAL, INFINITE])
def test_a_job_without_a_time_limit_has_none(value: int) -> None:
    """0 stands in the row that a step brings when it comes before its job's start."""
    assert parse(timelimit=value).time_limit_seconds is None


def test_an_end_in_the_far_future_is_an_end() -> None:
    """`sacctmgr show runaway` writes INFINITE as the end of array-throttled rows, which are COMPLETED then."""
    assert not parse(state=3, time_start=0, time_end=INFINITE).is_open


def test_while_suspended_the_column_is_a_time_stamp() -> None:
    run = parse(state=2, time_suspended=NOW - 600)
    assert run.suspended_seconds == 600.0
    assert run.elapsed(NOW) == 3000.0


def test_a_suspended_job_does_not_run_on() -> None:
    first = parse(state=2, time_suspended=NOW - 600, at=NOW)
    later = parse(state=2, time_suspended=NOW - 600, at=NOW + 300)
    assert first.elapsed(NOW) == later.elapsed(NOW + 300)


def test_after_a_resume_the_column_is_a_number_of_seconds() -> None:
    run = parse(time_suspended=600)
    assert (run.suspended_seconds, run.elapsed(NOW)) == (600.0, 3000.0)


def test_a_clock_behind_the_suspension_gives_no_negative_time() -> None:
    assert parse(state=2, time_suspended=NOW + 5).suspended_seconds == 0.0


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_run_ids_need_64_unsigned_bits(number: int) -> None:
    assert parse(job_db_inx=number).run_id == number


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("été".encode(), "été"),
        (b"\xe9t\xe9.sh", "été.sh"),
        (b"ann\xe9e", "année"),
        (b"caf\xe9", "café"),
        (b"a" * 254 + "é".encode()[:1], "a" * 254),
        (b"a" * 252 + "\U0001f680".encode()[:3], "a" * 252),
        ("é".encode() * 127 + b"\xc3", "é" * 127),
        (b"", ""),
        (None, ""),
        ("already text", "already text"),
        (b'nul\x00 quote" nl\n', 'nul\x00 quote" nl\n'),
    ],
)
def test_names_are_read_as_utf8_else_latin1_and_cut_at_a_character(stored: Any, name: str) -> None:
    assert parse(job_name=stored).name == name


@given(st.binary(max_size=300))
def test_any_bytes_become_text_that_can_be_encoded(stored: bytes) -> None:
    assert text(stored).encode().decode() == text(stored)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_names_in_utf8_are_read_back_up_to_the_columns_width(name: str) -> None:
    cut = text(name.encode()[:255])
    assert name.startswith(cut)
    assert len(cut) >= len(name.encode()[:255]) // 4


def test_a_run_whose_association_is_gone_has_its_uid_and_account() -> None:
    run = parse(id_assoc=999)
    assert (run.user, run.account) == ("3001", "def-kim")


def test_a_run_whose_association_is_deleted_still_has_its_user() -> None:
    assert parse(id_assoc=5, account=None).user == "bob"
    assert parse(id_assoc=5, account=None).account == "def-old"


@pytest.mark.parametrize("nodelist", [None, b"", b"(null)", b"None assigned", b"n[1-", b"n[1-" + b"9" * 5000 + b"]"])
def test_a_node_list_that_cannot_be_read_is_unknown(nodelist: bytes | None) -> None:
    assert parse(nodelist=nodelist).nodes == ()


@pytest.mark.parametrize("tres", [None, b"", b"garbage", b"1=", b"\xff\xfe", b"1=" + b"9" * 5000])
def test_resources_that_cannot_be_read_are_nothing(tres: bytes | None) -> None:
    assert parse(tres_alloc=tres).allocated == Allocation()


def test_an_unknown_qos_is_no_qos() -> None:
    assert parse(id_qos=77).qos == ""


def test_the_dimensions_have_users_qos_and_gpus() -> None:
    assert DIMENSIONS.associations[4] == ("alice", "def-kim")
    assert DIMENSIONS.qos == {1: "normal", 9: "high"}
    assert DIMENSIONS.gpu_ids == {1001: None, 1002: "a100"}
    assert parse_dimensions([], [], {}) == Dimensions()


def test_the_run_after_a_resize_starts_with_it() -> None:
    run = parse(time_submit=NOW - 600, time_start=NOW - 3600)
    assert (run.start, run.job_start) == (NOW - 600.0, NOW - 3600.0)
    assert (run.elapsed(NOW), run.limited_seconds(NOW)) == (600.0, 3600.0)


def test_a_run_that_was_not_resized_has_no_other_start() -> None:
    assert parse(time_submit=NOW - 600, time_start=NOW - 600).job_start is None


def test_a_run_that_is_killed_while_it_is_suspended_keeps_its_virtual_time() -> None:
    run = parse(state=4, time_end=NOW - 100, time_suspended=NOW - 1100)
    assert (run.suspended_seconds, run.elapsed(NOW)) == (1000.0, 2500.0)


def test_a_suspended_run_does_not_go_on() -> None:
    run = parse(state=2, time_suspended=NOW - 1000)
    assert (run.elapsed(NOW), run.elapsed(NOW + 60), run.elapsed(NOW - 1600)) == (2600.0, 2600.0, 2000.0)


@pytest.mark.parametrize("memory", [b"", b",2=0", b",2=1", b",2=8"])
def test_a_nominal_memory_is_none_that_slurm_manages(memory: bytes) -> None:
    assert parse(tres_alloc=b"1=8,4=1" + memory).allocated.memory_bytes is None
    assert parse(tres_alloc=b"1=8,4=1,2=9").allocated.memory_bytes == 9 * 2**20


def test_of_two_open_rows_of_a_job_id_the_older_one_has_ended() -> None:
    old, other = parse(), parse(job_db_inx=103, id_job=4712)
    resized = parse(job_db_inx=102, time_submit=NOW - 600)
    requeued = parse(job_db_inx=102, time_submit=NOW - 600, time_start=NOW - 500)
    closed, *rest = close_replaced(runs_of([old, resized, other]))
    assert (closed.end, closed.state, rest) == (NOW - 600.0, JobState.RESIZING, [resized, other])
    assert [run.state for run in close_replaced(runs_of([requeued, old]))] == [JobState.RUNNING, JobState.REQUEUED]


def test_small_tables_that_say_the_same_rename_nothing() -> None:
    again = parse_dimensions(ASSOCIATIONS, TRES, {1: "normal", 9: "high"})
    assert not renamed(DIMENSIONS, again)


@pytest.mark.parametrize(
    ("associations", "tres", "qos", "concerned"),
    [
        ([*ASSOCIATIONS[:3], Association(id=4, account="def-kim", user="alix")], TRES, {1: "normal", 9: "high"}, "own"),
        ([*ASSOCIATIONS, Association(id=77, account="def-kim", user="new")], TRES, {1: "normal", 9: "high"}, "new"),
        (ASSOCIATIONS[:3], TRES, {1: "normal", 9: "high"}, "own"),
        (ASSOCIATIONS, TRES, {1: "usual", 9: "high"}, "qos"),
        (ASSOCIATIONS, TRES, {1: "normal"}, "other qos"),
        (ASSOCIATIONS, [*TRES[:6], (1002, b"gres", b"gpu:h100"), TRES[7]], {1: "normal", 9: "high"}, "gpu"),
        (ASSOCIATIONS, [*TRES, (1004, b"license", b"ansys")], {1: "normal", 9: "high"}, "license"),
    ],
)
def test_only_rows_that_refer_to_what_is_renamed_are_concerned(
    associations: list[Association], tres: list[Any], qos: dict[int, str], concerned: str
) -> None:
    changes = renamed(DIMENSIONS, parse_dimensions(associations, tres, qos))
    rows = {
        "own": make_row(id_qos=5), "new": make_row(id_assoc=77, id_qos=5), "qos": make_row(id_assoc=0, tres_alloc=None),
        "other qos": make_row(id_assoc=0, id_qos=9), "gpu": make_row(id_assoc=0, id_qos=5, tres_req=None),
        "license": make_row(id_assoc=0, id_qos=5, tres_req=b"1=1,1004=2", tres_alloc=b""),
        "none": make_row(id_assoc=0, id_qos=5, tres_alloc=b"", tres_req=b"10021=1,x=1002,1002"),
    }  # fmt: skip
    assert concerned in [name for name, row in rows.items() if changes.concerns(row)]
    assert not changes.concerns(rows["none"])


@given(
    before=st.dictionaries(st.integers(1, 9), st.sampled_from("abc"), max_size=5),
    after=st.dictionaries(st.integers(1, 9), st.sampled_from("abc"), max_size=5),
    row=st.builds(
        make_row,
        id_assoc=st.integers(0, 9),
        id_qos=st.integers(0, 9),
        account=st.just(None),
        tres_alloc=st.sampled_from([b"", b"1=2,3=1", b"5=1,7=2", b"9=1", None]),
    ),
)
def test_a_row_that_is_not_concerned_gives_the_same_run_with_the_new_names(
    before: dict[int, str], after: dict[int, str], row: RunRow
) -> None:
    def dimensions(names: dict[int, str]) -> Dimensions:
        return Dimensions(
            associations={key: (name, name) for key, name in names.items()},
            qos=names,
            gpu_ids={key: name for key, name in names.items() if key < 6},
            license_ids={key: name for key, name in names.items() if key >= 6},
        )

    old, new = dimensions(before), dimensions(after)
    if not renamed(old, new).concerns(row):
        assert parse_run("narval", row, old, NOW) == parse_run("narval", row, new, NOW)


@given(
    row=st.builds(
        make_row,
        job_db_inx=st.integers(0, 2**64 - 1),
        time_end=st.integers(0, 2**64 - 1),
        job_name=st.one_of(st.none(), st.binary(max_size=20), st.just(b"1,2|3")),
    )
)
def test_a_row_that_is_packed_is_the_same_when_it_is_unpacked(row: RunRow) -> None:
    values = [getattr(row, name) for name in PACKED]
    numbers = [value for value in values if isinstance(value, int)]
    assert unpack(",".join(map(str, numbers)), *values[len(numbers) :]) == row


def test_rows_that_are_kept_share_what_is_equal() -> None:
    """Tens of thousands of them have a few hundred accounts, nodes and allocations."""
    account, tres = "def-kim", "1=4,2=8000"
    rows = [make_row(job_db_inx=key, account=account.encode(), tres_req=tres.encode()) for key in (10**9, 10**9 + 1)]
    first, second = sharing(rows)
    assert [first, second] == rows
    assert first.account is second.account
    assert first.tres_req is second.tres_req
