from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.engine.frame import Frames
from aggregator.model.storage import StorageQuota
from tests.builders import NOW, make_entry, make_usage
from tests.unit.parts.storage.owners import inodes, join, ratios, rows, used

STATES = ("", "new", "archiving", "modified", "synchro", "released", "retrieving")


def joined(*entries: dict[str, Any], hsm: bool = True, quotas: dict[str, StorageQuota] | None = None) -> Frames:
    return join(make_usage(*entries), quotas=quotas, hsm=hsm)


@pytest.mark.parametrize(
    ("state", "on_tape"),
    [("", False), ("new", False), ("archiving", False), ("modified", False), ("synchro", True), ("released", True),
     ("retrieving", True)],
)  # fmt: skip
def test_each_hsm_state_is_on_its_tiers(state: str, on_tape: bool) -> None:
    frames = joined(make_entry(hsm_state=state, size_bytes=1000, disk_bytes=512))
    (group,) = rows(frames, "groups")
    assert used(group) == {"disk": 512, "tape": 1000 if on_tape else 0}
    assert inodes(frames) == {("file", "disk"): 10, **({("file", "tape"): 10} if on_tape else {})}
    assert [(row["state"], row["hsm_bytes"]) for row in rows(frames, "group_hsm")] == [(state or "unknown", 1000)]


def test_disk_is_the_blocks_of_all_states_and_tape_the_size_of_current_copies() -> None:
    entries = [
        make_entry(hsm_state=state, size_bytes=10**number, disk_bytes=2**number) for number, state in enumerate(STATES)
    ]
    (group,) = rows(joined(*entries), "groups")
    assert used(group) == {"disk": 2**7 - 1, "tape": 10**4 + 10**5 + 10**6}


def test_a_file_system_without_hsm_has_no_tape() -> None:
    frames = joined(make_entry(hsm_state="released"), hsm=False)
    (group,) = rows(frames, "groups")
    assert used(group).keys() == {"disk"}
    assert rows(frames, "group_hsm") == []


def test_directories_count_as_space_and_inodes_but_not_as_files() -> None:
    frames = joined(make_entry(), make_entry(type="dir", size_bytes=4096, disk_bytes=8192, inodes=2))
    (group,) = rows(frames, "groups")
    assert used(group)["disk"] == 10 * 2**20 + 8192
    assert inodes(frames)["dir", "disk"] == 2
    assert group["file_size_sum_bytes"] == 10 * 2**20
    assert [row["hsm_bytes"] for row in rows(frames, "group_hsm")] == [10 * 2**20]


def test_groups_and_users_whose_last_inode_is_gone_are_not_shown() -> None:
    frames = joined(make_entry(), make_entry(user="ghost", group="gone", inodes=0, size_bytes=0, disk_bytes=0))
    assert frames["groups"]["group"].to_list() == ["def-kim"]
    assert frames["users"]["user"].to_list() == ["alice"]


def test_ids_without_a_name_are_kept_as_they_are() -> None:
    users = joined(make_entry(user="78901", group="-2"), make_entry(user="unknown"))["users"]
    assert users.select("group", "user").rows() == [("-2", "78901"), ("def-kim", "unknown")]


def test_a_group_with_a_quota_and_no_files_uses_nothing_of_it() -> None:
    frames = joined(make_entry(), quotas={"rrg-new": StorageQuota(bytes=100, inodes=10)})
    space = next(row for row in rows(frames, "groups") if row["group"] == "rrg-new")
    assert used(space) == {"disk": 0, "tape": 0}
    assert ratios(space) == {"bytes": 0.0, "inodes": 0.0}
    assert space["quota_source"] == "allocations"
    assert (space["file_size_bins"], space["file_size_sum_bytes"]) == ([0] * 10, 0)
    assert frames["users"]["group"].to_list() == ["def-kim"]


def test_a_group_without_a_quota_names_no_source() -> None:
    (space,) = rows(joined(make_entry()), "groups")
    assert (space["quota_bytes"], space["quota_source"], ratios(space)) == (None, None, {})


def test_a_quota_of_zero_has_no_ratio_and_one_counts_the_inodes_of_all_types_on_disk_only() -> None:
    entries = make_entry(inodes=6, hsm_state="released"), make_entry(type="dir", inodes=2)
    (space,) = rows(joined(*entries, quotas={"def-kim": StorageQuota(bytes=0, inodes=16)}), "groups")
    assert ratios(space) == {"inodes": 0.5}


def test_the_profile_is_cumulative() -> None:
    (space,) = rows(joined(make_entry(inodes=55, size_bins=tuple(range(1, 11)))), "groups")
    assert space["file_size_bins"] == [1, 3, 6, 10, 15, 21, 28, 36, 45, 55]


@pytest.mark.parametrize("bins", [(9, 0, 0, 0, 0, 0, 0, 0, 0, 0), (), (10,), (0, 0, 0, 0, 0, 11, 0, 0, 0, 0)])
def test_a_profile_that_does_not_add_up_is_not_shown(bins: tuple[int, ...]) -> None:
    """Robinhood 2.5 to 3.1 miscounts empty files."""
    frames = joined(make_entry(size_bins=bins), make_entry(group="sound"))
    unknown = {row["group"]: row["file_size_bins"] is None for row in rows(frames, "groups")}
    assert unknown == {"def-kim": True, "sound": False}
    assert rows(frames, "filesystem")[0]["untrusted_profiles"] == 1


def test_the_file_system_says_how_fresh_it_is() -> None:
    (facts,) = rows(join(make_usage(make_entry(), scan_running=True, path="/project")), "filesystem")
    assert (facts["updated_timestamp_seconds"], facts["scan_running"], facts["path"]) == (NOW - 9, True, "/project")


COUNT = st.integers(0, 2**63)
ENTRIES = st.lists(
    st.builds(
        make_entry,
        user=st.sampled_from(["alice", "bob", "78901"]),
        group=st.sampled_from(["def-kim", "def-lee"]),
        type=st.sampled_from(["file", "dir", "symlink"]),
        hsm_state=st.sampled_from(STATES),
        size_bytes=COUNT,
        disk_bytes=COUNT,
        inodes=st.integers(1, 2**40),
        size_bins=st.lists(st.integers(0, 5), min_size=10, max_size=10),
    ),
    max_size=15,
)


@given(ENTRIES, st.booleans())
def test_the_users_of_a_group_add_up_to_the_group(entries: list[dict[str, Any]], hsm: bool) -> None:
    frames = joined(*entries, hsm=hsm)
    for table, of, values in (
        ("groups", (), ("disk_used_bytes", "tape_used_bytes", "file_size_sum_bytes", "disk_inodes")),
        ("group_inodes", ("type",), ("disk", "tape")),
        ("group_hsm", ("state",), ("hsm_bytes",)),
    ):
        sums: Counter[Any] = Counter()
        for row in rows(frames, table.replace("group", "user")):
            for name in values:
                sums[row["group"], *(row[label] for label in of), name] += row[name] or 0
        for row in rows(frames, table):
            for name in values:
                assert sums[row["group"], *(row[label] for label in of), name] == (row[name] or 0), name
    assert sum(frames["groups"]["disk_used_bytes"]) == sum(entry["disk_bytes"] for entry in entries)
    assert frames["users"].select("group", "user").is_unique().all()
