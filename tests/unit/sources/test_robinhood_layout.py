"""Robinhood's databases of 2.5 to 3.2, by their columns and rows."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.sources.base import FetchError
from aggregator.sources.robinhood import SIZE_COLUMNS, Layout, parse_entries, parse_layout, parse_updated

KEY = "filesystems.project.robinhood"
SUMS = ("size", "blocks", "count", *SIZE_COLUMNS)
VARS = [(b"VARS", b"varname"), (b"VARS", b"value")]


def layout(*columns: str, variables: bool = True) -> Layout:
    return parse_layout([("ACCT_STAT", column) for column in columns] + (VARS if variables else []), KEY)  # type: ignore[operator]


def test_robinhood_3_with_hsm() -> None:
    assert layout("uid", "gid", "type", "lhsm_status", *SUMS) == Layout("uid", "gid", "lhsm_status", True, True)


def test_robinhood_3_without_hsm() -> None:
    assert layout("uid", "gid", "type", *SUMS) == Layout("uid", "gid", None, True, True)


def test_robinhood_3_2_with_project_ids_has_them_summed_over() -> None:
    found = layout("uid", "gid", "projid", "type", "lhsm_status", *SUMS)
    assert found == Layout("uid", "gid", "lhsm_status", True, True)
    assert "projid" not in found.statement()


def test_robinhood_2_5_has_other_names() -> None:
    found = layout("owner", "gr_name", "type", "status", *SUMS)
    assert found == Layout("owner", "gr_name", "status", True, True)
    assert "GROUP BY `owner`, `gr_name`, `type`, `status`" in found.statement()


def test_of_several_status_columns_the_one_of_hsm_counts() -> None:
    columns = ("checksum_status", "lhsm_status", "alert_status", "modeguard_status")
    found = layout("uid", "gid", "type", *columns, *SUMS)
    assert found.hsm == "lhsm_status"
    assert "checksum" not in found.statement()


def test_status_columns_of_other_policies_are_no_hsm() -> None:
    assert layout("uid", "gid", "type", "checksum_status", "alert_status", *SUMS).hsm is None


def test_a_profile_that_is_not_whole_is_none() -> None:
    found = layout("uid", "gid", "type", "size", "blocks", "count", *SIZE_COLUMNS[:-1])
    assert found.sizes is False
    assert "sz" not in found.statement()


def test_without_vars_freshness_is_not_known() -> None:
    assert layout("uid", "gid", "type", *SUMS, variables=False).variables is False


def test_the_statement_sums_every_column_and_leaves_empty_groups_out() -> None:
    sql = layout("uid", "gid", "type", *SUMS).statement()
    assert all(f"SUM(`{column}`)" in sql for column in SUMS)
    assert sql.endswith("HAVING SUM(`count`)>0")
    assert "%" not in sql


def test_a_database_without_acct_stat_is_no_robinhood() -> None:
    with pytest.raises(FetchError, match=f"{KEY}: no table ACCT_STAT"):
        parse_layout(VARS, KEY)


@pytest.mark.parametrize(
    ("columns", "lacks"),
    [
        (("gid", "type", *SUMS), "uid"),
        (("uid", "type", *SUMS), "gid"),
        (("gr_name", "type", *SUMS), "uid"),
        (("uid", "gid", *SUMS), "type"),
        (("uid", "gid", "type", "count"), "blocks, size"),
    ],
)
def test_a_layout_that_no_release_makes_is_named(columns: tuple[str, ...], lacks: str) -> None:
    with pytest.raises(FetchError, match=f"{KEY}: ACCT_STAT lacks the columns {lacks}$"):
        layout(*columns)


def parse_entry(row: tuple[Any, ...]) -> dict[str, Any]:
    (found,) = parse_entries([row]).to_dicts()
    return found


def entry(*values: Any) -> dict[str, Any]:
    defaults = (b"alice", b"def-kim", b"file", b"synchro", Decimal(4096), Decimal(16), Decimal(2))
    return parse_entry((*values, *defaults[len(values) :]))


def test_a_group_has_its_bytes() -> None:
    found = parse_entry((b"alice", b"def-kim", b"file", b"synchro", Decimal(1), Decimal(3), Decimal(2), *range(10)))
    assert found == {
        "user": "alice", "group": "def-kim", "type": "file", "hsm_state": "synchro", "size_bytes": 1,
        "disk_bytes": 1536, "inodes": 2, "size_bins": list(range(10)),
    }  # fmt: skip


def test_sums_beyond_64_bits_are_exact() -> None:
    found = entry(b"a", b"b", b"file", b"", Decimal(2**64 + 1), Decimal(2**64), Decimal(2**63))
    assert (found["size_bytes"], found["disk_bytes"], found["inodes"]) == (2**64 + 1, 2**73, 2**63)


def test_sums_of_nothing_are_zero() -> None:
    """Robinhood 2.5's sums default to NULL."""
    found = parse_entry((b"a", b"b", b"file", b"", None, None, None, None))
    assert (found["size_bytes"], found["disk_bytes"], found["inodes"], found["size_bins"]) == (0, 0, 0, [0])


@pytest.mark.parametrize("owner", [b"78901", b"-2", b"unknown", "été".encode(), b"a" * 127])
def test_owners_are_kept_as_they_are_written(owner: bytes) -> None:
    assert entry(owner)["user"] == owner.decode()


@pytest.mark.parametrize(
    ("number", "state"),
    [(b"0", ""), (b"1", "new"), (b"2", "modified"), (b"3", "retrieving"), (b"4", "archiving"), (b"5", "synchro"),
     (b"6", "released"), (b"8", ""), (b"99", "")],
)  # fmt: skip
def test_states_of_robinhood_2_5_are_numbers(number: bytes, state: str) -> None:
    assert entry(b"a", b"b", b"file", number)["hsm_state"] == state


@pytest.mark.parametrize("state", [b"", None, b"new", b"released", b"archiving"])
def test_states_of_robinhood_3_are_words(state: bytes | None) -> None:
    assert entry(b"a", b"b", b"file", state)["hsm_state"] == (state or b"").decode()


def commit(*steps: str) -> dict[str, str]:
    return {f"CL_LastCommit_mdt{number}": f"12345:1700000000.5:{step}" for number, step in enumerate(steps)}


def test_with_changelogs_the_slowest_mdt_counts() -> None:
    assert parse_updated(commit("1800000300.1", "1800000100.999999", "1800000200.0")) == 1800000100.0


def test_an_idle_mdts_old_records_do_not_matter() -> None:
    assert parse_updated({"CL_LastCommit_mdt0": "7:1500000000.1:1800000000.2"}) == 1800000000.0


def test_microseconds_are_not_padded_and_not_a_fraction() -> None:
    """“…94.5” is 94 s and 5 µs."""
    assert parse_updated(commit("1800000094.5")) == 1800000094.0


def test_changelogs_win_over_scans_that_are_years_old() -> None:
    variables = {**commit("1800000000.0"), "LastScanEndTime": "1500000000", "LastScanStatus": "done"}
    assert parse_updated(variables) == 1800000000.0


@pytest.mark.parametrize("broken", ["0.0", "", "x:y"])
def test_an_mdt_that_cannot_be_read_falls_back_to_the_scan(broken: str) -> None:
    variables = {**commit("1800000000.0"), "CL_LastCommit_mdt9": f"1:2:{broken}", "LastScanEndTime": "1500000000",
                 "LastScanStatus": "done"}  # fmt: skip
    assert parse_updated(variables) == 1500000000.0


def test_with_scans_only_the_end_of_processing_counts() -> None:
    done = {"LastScanStatus": "done", "LastScanEndTime": "100"}
    assert parse_updated(done) == 100.0
    assert parse_updated({**done, "LastScanProcessingEndTime": "120"}) == 120.0


def test_during_a_scan_the_numbers_are_of_the_previous_one() -> None:
    variables = {"LastScanStatus": "running", "LastScanStartTime": "200", "LastScanEndTime": "100"}
    assert parse_updated(variables) == 100.0


@pytest.mark.parametrize("variables", [{}, {"LastScanStatus": "running", "LastScanStartTime": "200"},
                                       {"LastScanEndTime": ""}, {"LastScanEndTime": "0"}])  # fmt: skip
def test_during_the_first_scan_it_cannot_be_known(variables: dict[str, str]) -> None:
    assert parse_updated(variables) is None


@pytest.mark.parametrize("status", ["aborted", "incomplete", "partial (/project/a)"])
def test_a_scan_that_was_not_complete_does_not_make_the_numbers_new(status: str) -> None:
    variables = {"LastScanStatus": status, "LastScanStartTime": "190", "LastScanEndTime": "200",
                 "LastScanProcessingEndTime": "210"}  # fmt: skip
    assert parse_updated(variables) not in (200.0, 210.0)


@given(st.dictionaries(
    st.sampled_from(["CL_LastCommit_a", "CL_LastCommit_b", "LastScanEndTime", "LastScanProcessingEndTime"]),
    st.text(max_size=30) | st.text(alphabet="0123456789.:", max_size=30),
))  # fmt: skip
def test_no_variables_raise(variables: dict[str, str]) -> None:
    updated = parse_updated(variables)
    assert updated is None or updated > 0
