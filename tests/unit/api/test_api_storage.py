from aggregator.model.storage import StorageQuota
from tests.spaces import Space

from .builders import NOW, make_status, publish_space
from .conftest import Service

PROJECT = "/api/v1/storage/project"
GROUPS = f"{PROJECT}/groups"
PROFILE = tuple(range(1, 11))


def make_space(group: str = "def-kim", user: str = "", **changes: object) -> Space:
    fields = {
        "used_bytes": {"disk": 50, "tape": 200},
        "inodes": {("file", "disk"): 9, ("file", "tape"): 4, ("dir", "disk"): 1},
        "hsm_bytes": {"released": 200},
        "file_size_bins": PROFILE,
        "file_size_sum": 240,
        **changes,
    }
    return Space(group, user, **fields)  # type: ignore[arg-type]


async def test_a_file_system_shows_its_sums_and_freshness(service: Service) -> None:
    publish_space(
        service.store, make_space("a"), make_space("b"), updated_timestamp_seconds=NOW - 60, scan_running=True, hsm=True
    )

    (filesystem,) = (await service.data("/api/v1/storage"))["filesystems"]

    assert filesystem == {
        "filesystem": "project",
        "path": None,
        "hsm": True,
        "as_of_time": "2023-11-14T22:13:10Z",
        "as_of_timestamp_seconds": NOW - 10,
        "updated_time": "2023-11-14T22:12:20Z",
        "updated_timestamp_seconds": NOW - 60,
        "scan_running": True,
        "groups": 2,
        "disk_used_bytes": 100,
        "tape_used_bytes": 400,
        "inodes": [{"type": "file", "disk": 18, "tape": 8}, {"type": "dir", "disk": 2, "tape": None}],
    }


async def test_a_group_shows_what_it_has_out_of_which_quota(service: Service) -> None:
    space = make_space(quota=StorageQuota(bytes=100, inodes=None), quota_source="allocations")
    publish_space(service.store, space, users=(make_space(user="alice"), make_space("other", user="bob")))

    (group,) = (await service.data(GROUPS))["groups"]

    assert group["group"] == "def-kim"
    assert (group["disk_used_bytes"], group["tape_used_bytes"]) == (50, 200)
    assert sorted(map(tuple, (each.values() for each in group["inodes"]))) == [("dir", 1, None), ("file", 9, 4)]
    assert group["hsm"] == [{"state": "released", "hsm_bytes": 200}]
    shown = {name: group[name] for name in group if "quota" in name or "count" in name or "doubt" in name}
    assert shown == {
        "quota_bytes": 100, "quota_inodes": None, "quota_hard_bytes": None, "quota_hard_inodes": None,
        "quota_used_ratio_bytes": 0.5, "quota_used_ratio_inodes": None, "quota_source": "allocations",
        "counted_bytes": None, "counted_inodes": None, "counted_by": None, "in_doubt_bytes": None,
        "in_doubt_inodes": None,
    }  # fmt: skip
    assert group["size_profile"][0] == {"le": 0, "count": 1}
    assert group["size_profile"][-1] == {"le": None, "count": 10}
    users = (await service.data(f"{PROJECT}/users?group=def-kim"))["users"]
    assert [(user["user"], user["quota_bytes"]) for user in users] == [("alice", None)]


async def test_a_group_without_quota_has_none(service: Service) -> None:
    publish_space(service.store, make_space())

    (group,) = (await service.data(GROUPS))["groups"]
    assert (group["quota_bytes"], group["quota_source"], group["quota_used_ratio_bytes"]) == (None, None, None)


async def test_an_untrusted_profile_is_null_with_a_warning(service: Service) -> None:
    publish_space(service.store, make_space(file_size_bins=None), untrusted_profiles=1)

    body = await (await service.get(GROUPS)).json()

    assert body["data"]["groups"][0]["size_profile"] is None
    assert body["warnings"][0].startswith("size_profile is null for 1 of 1 groups: ")


async def test_groups_come_by_name_page_by_page(service: Service) -> None:
    publish_space(service.store, *(make_space(name) for name in ("a", "b", 'c"\n🦙')))

    first = await service.data(f"{GROUPS}?limit=2")
    second = await service.data(f"{GROUPS}?limit=2&cursor={first['next_cursor']}")

    assert [group["group"] for page in (first, second) for group in page["groups"]] == ["a", "b", 'c"\n🦙']
    assert second["next_cursor"] is None


async def test_groups_can_be_chosen(service: Service) -> None:
    publish_space(service.store, make_space("a"), make_space("b"), make_space("c"))

    assert [group["group"] for group in (await service.data(f"{GROUPS}?group=a,c"))["groups"]] == ["a", "c"]


async def test_an_unknown_file_system_is_not_found(service: Service) -> None:
    publish_space(service.store)

    expected = 404, "not_found", 'file system "x": not configured; this service has: project'
    assert await service.failure("/api/v1/storage/x") == expected


async def test_a_file_system_that_was_never_read_is_unavailable(service: Service) -> None:
    status = make_status("robinhood", "project", up=False, last_attempt=None, last_success=None)
    service.store.publish_source(status)

    expected = 503, "unavailable", 'robinhood of "project": not fetched yet'
    assert await service.failure(PROJECT) == expected


async def test_a_file_system_whose_view_was_emptied_is_unavailable_not_empty(service: Service) -> None:
    status = make_status("robinhood", "project", up=False, last_success=NOW - 9000, error="gone away")
    publish_space(service.store, status=status)

    body = await (await service.get("/api/v1/storage")).json()

    assert (await service.failure(PROJECT))[:2] == (await service.failure(GROUPS))[:2] == (503, "unavailable")
    assert body["data"] == {"filesystems": []}
    assert body["warnings"] == ['robinhood of "project": no data since 2023-11-14T19:43:20Z: gone away']


async def test_old_data_of_a_failing_source_are_served_with_a_warning(service: Service) -> None:
    status = make_status("robinhood", "project", up=False, last_success=NOW - 9000, error="gone away")
    publish_space(service.store, make_space(), status=status)

    body = await (await service.get(GROUPS)).json()

    assert len(body["data"]["groups"]) == 1
    assert body["warnings"] == ['robinhood of "project": no data since 2023-11-14T19:43:20Z: gone away']


async def test_an_empty_file_system_is_empty(service: Service) -> None:
    publish_space(service.store)

    assert (await service.data(GROUPS))["groups"] == []
