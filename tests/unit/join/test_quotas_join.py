"""Quotas that count by themselves, with Robinhood's sums and without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.quotas import add_group_counts, add_user_counts
from aggregator.join.storage import join_storage
from aggregator.model.storage import QuotaCount, StorageQuota
from aggregator.model.view import FilesystemView
from tests.builders import NOW, make_entry, make_usage

EMPTY = FilesystemView("scratch", NOW, scanned=False)


def test_without_robinhood_what_a_quota_counts_is_what_is_used() -> None:
    count = QuotaCount(owner="def-kim", used_bytes=50, used_inodes=5, soft_bytes=100, hard_bytes=120)
    (space,) = add_group_counts(EMPTY, [count], {}, "gpfs").groups
    assert (space.used_bytes, space.inodes) == ({"disk": 50}, {("any", "disk"): 5})
    assert space.quota == StorageQuota(bytes=100, inodes=None, hard_bytes=120)
    assert (space.quota_source, space.quota_used()) == ("gpfs", {"bytes": 0.5})
    assert space.file_size_bins is None


def test_the_hard_limit_counts_where_there_is_no_soft_one() -> None:
    (space,) = add_group_counts(EMPTY, [QuotaCount(owner="g", used_bytes=60, hard_bytes=120)], {}, "gpfs").groups
    assert space.quota_used() == {"bytes": 0.5}


def test_limits_that_the_source_has_not_got_are_those_of_the_allocations() -> None:
    view = add_group_counts(
        EMPTY,
        [QuotaCount(owner="g", used_bytes=60)],
        {"g": StorageQuota(bytes=120), "new": StorageQuota(1)},
        "lfs_quota",
    )
    counted, new = view.groups
    assert (counted.quota_source, counted.counted_by, counted.quota_used()) == (
        "allocations",
        "lfs_quota",
        {"bytes": 0.5},
    )
    assert (new.group, new.used_bytes, new.quota_used()) == ("new", {}, {}), (
        "of what nothing is known, nothing is used up"
    )


def test_what_is_not_known_is_not_zero() -> None:
    (space,) = add_group_counts(EMPTY, [QuotaCount(owner="g", soft_bytes=10, soft_inodes=10)], {}, "gpfs").groups
    assert (space.used_bytes, space.inodes, space.counted, space.quota_used()) == ({}, {}, {}, {})


def test_beside_robinhood_the_quota_is_of_what_its_own_source_counts() -> None:
    """Robinhood's sums may be of yesterday; writes fail by what the file system counts."""
    view = join_storage(make_usage(make_entry(disk_bytes=10)), False, {}, "allocations")
    (space,) = add_group_counts(view, [QuotaCount(owner="def-kim", used_bytes=90, soft_bytes=100)], {}, "gpfs").groups
    assert space.used_bytes == {"disk": 10}
    assert space.quota_used() == {"bytes": 0.9}


def test_what_is_in_doubt_is_said_and_not_used() -> None:
    count = QuotaCount(owner="g", used_bytes=50, soft_bytes=100, in_doubt_bytes=40)
    (space,) = add_group_counts(EMPTY, [count], {}, "gpfs").groups
    assert (space.in_doubt, space.quota_used()) == ({"bytes": 40}, {"bytes": 0.5})


def test_quotas_of_users_are_of_no_group() -> None:
    view = join_storage(make_usage(make_entry()), False, {}, "allocations")
    joined = add_user_counts(view, [QuotaCount(owner="alice", used_bytes=7, soft_bytes=14)], "gpfs")
    assert [(space.group, space.user) for space in joined.users] == [("", "alice"), ("def-kim", "alice")]
    assert joined.users[0].quota_used() == {"bytes": 0.5}
    assert joined.groups == view.groups


NUMBER = st.none() | st.integers(0, 2**63)
COUNTS = st.lists(
    st.builds(
        QuotaCount, owner=st.sampled_from(["def-kim", "a\"b\n", "🦙"]), used_bytes=NUMBER, used_inodes=NUMBER,
        soft_bytes=NUMBER, soft_inodes=NUMBER, hard_bytes=NUMBER, hard_inodes=NUMBER, in_doubt_bytes=NUMBER,
    ),
    max_size=3, unique_by=lambda count: count.owner,
)  # fmt: skip


@given(COUNTS, st.booleans())
def test_each_owner_is_there_once_with_what_is_known(counts: list[QuotaCount], scanned: bool) -> None:
    view = FilesystemView("scratch", NOW, scanned=scanned)
    groups = add_group_counts(view, counts, {}, "gpfs").groups
    assert [space.group for space in groups] == sorted(count.owner for count in counts)
    known = sum(count.used_bytes or 0 for count in counts)
    assert sum(space.counted.get("bytes", 0) for space in groups) == known
    assert sum(space.used_bytes.get("disk", 0) for space in groups) == (0 if scanned else known)
    assert all(ratio >= 0 for space in groups for ratio in space.quota_used().values())


@pytest.mark.parametrize("counts", [[], [QuotaCount(owner="g")]])
def test_nothing_gives_nothing(counts: list[QuotaCount]) -> None:
    assert len(add_group_counts(EMPTY, counts, {}, "gpfs").groups) == len(counts)
