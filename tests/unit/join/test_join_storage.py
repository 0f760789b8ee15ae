from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.storage import join_storage
from aggregator.model.storage import StorageEntry, StorageQuota
from aggregator.model.view import FilesystemView
from tests.builders import NOW, make_entry, make_usage

STATES = ("", "new", "archiving", "modified", "synchro", "released", "retrieving")


def join(*entries: StorageEntry, hsm: bool = True, quotas: dict[str, StorageQuota] | None = None) -> FilesystemView:
    return join_storage(make_usage(*entries), hsm, quotas or {}, "allocations")


@pytest.mark.parametrize(
    ("state", "on_tape"),
    [("", False), ("new", False), ("archiving", False), ("modified", False), ("synchro", True), ("released", True),
     ("retrieving", True)],
)  # fmt: skip
def test_each_hsm_state_is_on_its_tiers(state: str, on_tape: bool) -> None:
    (group,) = join(make_entry(hsm_state=state, size_bytes=1000, disk_bytes=512)).groups
    assert group.used_bytes == {"disk": 512, "tape": 1000 if on_tape else 0}
    assert group.inodes.get(("file", "disk")) == 10
    assert group.inodes.get(("file", "tape"), 0) == (10 if on_tape else 0)
    assert group.hsm_bytes == {state or "unknown": 1000}


def test_disk_is_the_blocks_of_all_states_and_tape_the_size_of_current_copies() -> None:
    entries = [
        make_entry(hsm_state=state, size_bytes=10**number, disk_bytes=2**number) for number, state in enumerate(STATES)
    ]
    (group,) = join(*entries).groups
    assert group.used_bytes == {"disk": 2**7 - 1, "tape": 10**4 + 10**5 + 10**6}


def test_a_file_system_without_hsm_has_no_tape() -> None:
    (group,) = join(make_entry(hsm_state="released"), hsm=False).groups
    assert group.used_bytes.keys() == {"disk"}
    assert group.hsm_bytes == {}
    assert group.inodes.keys() == {("file", "disk")}


def test_directories_count_as_space_and_inodes_but_not_as_files() -> None:
    (group,) = join(make_entry(), make_entry(type="dir", size_bytes=4096, disk_bytes=8192, inodes=2)).groups
    assert group.used_bytes["disk"] == 10 * 2**20 + 8192
    assert group.inodes["dir", "disk"] == 2
    assert group.file_size_sum == 10 * 2**20
    assert group.hsm_bytes == {"unknown": 10 * 2**20}


def test_groups_and_users_whose_last_inode_is_gone_are_not_shown() -> None:
    view = join(make_entry(), make_entry(user="ghost", group="gone", inodes=0, size_bytes=0, disk_bytes=0))
    assert [space.group for space in view.groups] == ["def-kim"]
    assert [space.user for space in view.users] == ["alice"]


def test_ids_without_a_name_are_kept_as_they_are() -> None:
    view = join(make_entry(user="78901", group="-2"), make_entry(user="unknown"))
    assert [(space.group, space.user) for space in view.users] == [("-2", "78901"), ("def-kim", "unknown")]


def test_a_group_with_a_quota_and_no_files_uses_nothing_of_it() -> None:
    view = join(make_entry(), quotas={"rrg-new": StorageQuota(bytes=100, inodes=10)})
    space = next(space for space in view.groups if space.group == "rrg-new")
    assert space.used_bytes == {"disk": 0, "tape": 0}
    assert space.quota_used() == {"bytes": 0.0, "inodes": 0.0}
    assert space.quota_source == "allocations"
    assert [space.group for space in view.users] == ["def-kim"]


def test_a_group_without_a_quota_names_no_source() -> None:
    (space,) = join(make_entry()).groups
    assert (space.quota, space.quota_source, space.quota_used()) == (None, "", {})


def test_the_profile_is_cumulative() -> None:
    (space,) = join(make_entry(inodes=55, size_bins=tuple(range(1, 11)))).groups
    assert space.file_size_bins == (1, 3, 6, 10, 15, 21, 28, 36, 45, 55)


@pytest.mark.parametrize("bins", [(9, 0, 0, 0, 0, 0, 0, 0, 0, 0), (), (10,), (0, 0, 0, 0, 0, 11, 0, 0, 0, 0)])
def test_a_profile_that_does_not_add_up_is_not_shown(bins: tuple[int, ...]) -> None:
    """Robinhood 2.5 to 3.1 miscounts empty files."""
    view = join(make_entry(size_bins=bins), make_entry(group="sound"))
    assert {space.group: space.file_size_bins is None for space in view.groups} == {"def-kim": True, "sound": False}
    assert view.untrusted_profiles == 1


def test_the_view_says_how_fresh_it_is() -> None:
    view = join_storage(make_usage(make_entry(), scan_running=True, path="/project"), False, {}, "allocations")
    assert (view.time, view.updated, view.scan_running, view.path) == (NOW, NOW - 9, True, "/project")


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
        size_bins=st.lists(st.integers(0, 5), min_size=10, max_size=10).map(tuple),
    ),
    max_size=15,
)


@given(ENTRIES, st.booleans())
def test_the_users_of_a_group_add_up_to_the_group(entries: list[StorageEntry], hsm: bool) -> None:
    view = join(*entries, hsm=hsm)
    for group in view.groups:
        users = [space for space in view.users if space.group == group.group]
        for name in ("used_bytes", "inodes", "hsm_bytes"):
            added: Counter[object] = Counter()
            for user in users:
                added.update(getattr(user, name))
            assert dict(added) == dict(getattr(group, name)), name
        assert group.file_size_sum == sum(user.file_size_sum for user in users)
    assert sum(space.used_bytes["disk"] for space in view.groups) == sum(entry.disk_bytes for entry in entries)
    assert len({(space.group, space.user) for space in view.users}) == len(view.users)
