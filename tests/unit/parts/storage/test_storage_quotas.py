"""Quotas that count by themselves, with Robinhood's sums and without."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.storage import StorageQuota
from tests.builders import make_entry, make_usage
from tests.unit.parts.storage.owners import counts, inodes, join, ratios, rows, used


def test_without_robinhood_what_a_quota_counts_is_what_is_used() -> None:
    count = {"owner": "def-kim", "used_bytes": 50, "used_inodes": 5, "soft_bytes": 100, "hard_bytes": 120}
    frames = join(None, counts(count))
    (space,) = rows(frames, "groups")
    assert (used(space), inodes(frames)) == ({"disk": 50}, {("any", "disk"): 5})
    assert (space["quota_bytes"], space["quota_inodes"], space["quota_hard_bytes"]) == (100, None, 120)
    assert (space["quota_source"], ratios(space)) == ("gpfs", {"bytes": 0.5})
    assert space["file_size_bins"] is None


def test_the_hard_limit_counts_where_there_is_no_soft_one() -> None:
    (space,) = rows(join(None, counts({"owner": "g", "used_bytes": 60, "hard_bytes": 120})), "groups")
    assert ratios(space) == {"bytes": 0.5}


def test_limits_that_the_source_has_not_got_are_those_of_the_allocations() -> None:
    quotas = {"g": StorageQuota(bytes=120), "new": StorageQuota(1)}
    counted, new = rows(join(None, counts({"owner": "g", "used_bytes": 60}, source="lfs_quota"), quotas), "groups")
    assert (counted["quota_source"], counted["counted_by"], ratios(counted)) == (
        "allocations", "lfs_quota", {"bytes": 0.5},
    )  # fmt: skip
    assert (new["group"], used(new), ratios(new)) == ("new", {}, {}), "of what nothing is known, nothing is used up"


def test_a_source_with_limits_of_its_own_does_not_need_those_of_the_allocations() -> None:
    quotas = {"g": StorageQuota(bytes=120), "new": StorageQuota(1)}
    (space,) = rows(join(None, counts({"owner": "g", "used_bytes": 60}), quotas, own_limits=True), "groups")
    assert (space["group"], space["quota_bytes"], space["quota_source"]) == ("g", None, None)


def test_what_is_not_known_is_not_zero() -> None:
    frames = join(None, counts({"owner": "g", "soft_bytes": 10, "soft_inodes": 10}))
    (space,) = rows(frames, "groups")
    assert (used(space), inodes(frames), space["counted_bytes"], ratios(space)) == ({}, {}, None, {})


def test_beside_robinhood_the_quota_is_of_what_its_own_source_counts() -> None:
    """Robinhood's sums may be of yesterday; writes fail by what the file system counts."""
    usage = make_usage(make_entry(disk_bytes=10))
    (space,) = rows(join(usage, counts({"owner": "def-kim", "used_bytes": 90, "soft_bytes": 100})), "groups")
    assert used(space) == {"disk": 10}
    assert ratios(space) == {"bytes": 0.9}


def test_what_is_in_doubt_is_said_and_not_used() -> None:
    count = {"owner": "g", "used_bytes": 50, "soft_bytes": 100, "in_doubt_bytes": 40}
    (space,) = rows(join(None, counts(count)), "groups")
    assert (space["in_doubt_bytes"], space["in_doubt_inodes"], ratios(space)) == (40, None, {"bytes": 0.5})


def test_quotas_of_users_are_of_no_group() -> None:
    usage = make_usage(make_entry())
    frames = join(usage, counts({"owner": "alice", "used_bytes": 7, "soft_bytes": 14}, of_users=True))
    users = rows(frames, "users")
    assert [(row["group"], row["user"]) for row in users] == [("", "alice"), ("def-kim", "alice")]
    assert [ratios(row) for row in users] == [{"bytes": 0.5}, {}]
    assert frames["groups"].equals(join(usage)["groups"])


NUMBER = st.none() | st.integers(0, 2**63)
COUNTS = st.lists(
    st.fixed_dictionaries({"owner": st.sampled_from(["def-kim", 'a"b\n', "🦙"])}, optional=dict.fromkeys(
        ("used_bytes", "used_inodes", "soft_bytes", "soft_inodes", "hard_bytes", "hard_inodes", "in_doubt_bytes"),
        NUMBER,
    )),
    max_size=3, unique_by=lambda count: count["owner"],
)  # fmt: skip


@given(COUNTS, st.booleans())
def test_each_owner_is_there_once_with_what_is_known(found: list[dict[str, Any]], scanned: bool) -> None:
    groups = rows(join(make_usage() if scanned else None, counts(*found)), "groups")
    assert [row["group"] for row in groups] == sorted(count["owner"] for count in found)
    known = sum(count.get("used_bytes") or 0 for count in found)
    assert sum(row["counted_bytes"] or 0 for row in groups) == known
    assert sum(used(row).get("disk", 0) for row in groups) == (0 if scanned else known)
    assert all(ratio >= 0 for row in groups for ratio in ratios(row).values())


@pytest.mark.parametrize("found", [[], [{"owner": "g"}]])
def test_nothing_gives_nothing(found: list[dict[str, Any]]) -> None:
    assert len(rows(join(None, counts(*found)), "groups")) == len(found)
