"""Quotas of groups and users: what they show, to whom, and over time."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.series import Subject
from aggregator.model.storage import StorageQuota
from tests.spaces import Space

from .builders import NOW, FakeSeries, make_status, publish_space
from .conftest import Service
from .tokens import bearer, make_token

PROJECT = "/api/v1/storage/project"
_QUOTA = {"quota", "counted", "in"}
HOSTILE = 'a"b/c \\ 🦙\n'


def counted(group: str = "def-kim", user: str = "") -> Space:
    """Make what GPFS says of a group or user."""
    return Space(
        group, user, used_bytes={"disk": 50}, inodes={("any", "disk"): 5},
        quota=StorageQuota(bytes=100, hard_bytes=120), quota_source="gpfs",
        counted={"bytes": 50, "inodes": 5}, counted_by="gpfs", in_doubt={"bytes": 3},
    )  # fmt: skip


def publish(service: Service) -> FakeSeries:
    users = (counted("", "alice"), counted("def-kim", "alice"), counted("def-kim", "bob"))
    publish_space(
        service.store, counted(), counted(HOSTILE), counted("other"), users=users, scanned=False,
        members={"other": frozenset({"carol"})}, status=make_status("quota", "project"),
    )  # fmt: skip
    lines = FakeSeries()
    service.graphs = {"quota/project": lines}
    return lines


@pytest.fixture
async def lines(idle_service: Service, aiohttp_client: Any) -> FakeSeries:
    found = publish(idle_service)
    idle_service.client = await aiohttp_client(idle_service.app())
    return found


@pytest.mark.usefixtures("lines")
async def test_a_group_shows_its_quota_as_the_quotas_source_counts_it(idle_service: Service) -> None:
    data = await idle_service.data(f"{PROJECT}/groups/def-kim")
    assert (data["filesystem"], data["group"], data["disk_used_bytes"], data["tape_used_bytes"]) == (
        "project", "def-kim", 50, None,
    )  # fmt: skip
    assert data["inodes"] == [{"type": "any", "disk": 5, "tape": None}]
    shown = {name: value for name, value in data.items() if value is not None and name.split("_")[0] in _QUOTA}
    assert shown == {
        "quota_bytes": 100, "quota_hard_bytes": 120, "quota_used_ratio_bytes": 0.5, "quota_source": "gpfs",
        "counted_bytes": 50, "counted_inodes": 5, "in_doubt_bytes": 3, "counted_by": "gpfs",
    }  # fmt: skip
    (listed,) = (await idle_service.data(f"{PROJECT}/groups?group=def-kim"))["groups"]
    assert {name: data[name] for name in listed} == listed
    assert "users" not in data
    assert data["file_size_sum_bytes"] is None, "quotas do not know it"
    whole = await idle_service.data(PROJECT)
    assert whole["scan_running"] is None, "no Robinhood, no scan"


@pytest.mark.usefixtures("lines")
async def test_a_user_shows_what_is_had_in_each_group(idle_service: Service) -> None:
    data = await idle_service.data(f"{PROJECT}/users/alice")
    assert (data["filesystem"], data["user"]) == ("project", "alice")
    assert [(row["group"], row["quota_hard_bytes"]) for row in data["groups"]] == [("", 120), ("def-kim", 120)]
    assert await idle_service.failure(f"{PROJECT}/users/nobody") == (
        404, "not_found", 'user "nobody": not known on file system "project"',
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/groups/def-kim", "/groups"])
@pytest.mark.parametrize(("size", "shown"), [(2**63 - 1, 2**63 - 1), (2**63, None), (2**64 + 1, None)])
async def test_a_size_that_no_file_system_can_have_is_not_known(
    service: Service, path: str, size: int, shown: int | None
) -> None:
    publish_space(service.store, Space("def-kim", used_bytes={"disk": size}, file_size_bins=[size] * 10))
    data = await service.data(f"{PROJECT}{path}")
    (group,) = data.get("groups", [data])
    assert (group["disk_used_bytes"], group["size_profile"][0]["count"]) == (shown, shown)


@pytest.mark.usefixtures("lines")
async def test_users_come_page_by_page_with_their_quotas(idle_service: Service) -> None:
    first = await idle_service.data(f"{PROJECT}/users?limit=2")
    second = await idle_service.data(f"{PROJECT}/users?limit=2&cursor={first['next_cursor']}")
    every = [(each["group"], each["user"]) for page in (first, second) for each in page["users"]]
    assert every == [("", "alice"), ("def-kim", "alice"), ("def-kim", "bob")]
    assert second["next_cursor"] is None
    assert first["users"][0]["quota_hard_bytes"] == 120
    group = await idle_service.data(f"{PROJECT}/users?group=def-kim")
    assert [each["user"] for each in group["users"]] == ["alice", "bob"]


async def test_graphs_of_quotas_are_of_90_days_by_default(idle_service: Service, lines: FakeSeries) -> None:
    await idle_service.data(f"{PROJECT}/groups/{quote(HOSTILE, safe='')}/series?metric=cpu")
    await idle_service.data(f"{PROJECT}/users/alice/series?metric=cpu&start=now-1d&step=1h")
    (_, group, months), (_, user, day) = lines.read_of
    assert group == Subject(labels=(("group", HOSTILE),))
    assert (months.end - months.start, months.step) == (pytest.approx(90 * 86_400, abs=21_600), 21_600.0)
    assert user == Subject(labels=(("user", "alice"),))
    assert (day.end, day.step) == (NOW, 3600.0)


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("groups/nobody", 'group "nobody": not known on file system "project"'),
        ("groups/nobody/series?metric=cpu", 'group "nobody": not known on file system "project"'),
        ("users/nobody/series?metric=cpu", 'user "nobody": not known on file system "project"'),
    ],
)
async def test_what_is_not_known_is_not_found(idle_service: Service, path: str, error: str) -> None:
    assert await idle_service.failure(f"{PROJECT}/{path}") == (404, "not_found", error)


async def test_a_file_system_without_quota_series_has_no_graphs(service: Service) -> None:
    publish_space(service.store, counted())
    status, kind, error = await service.failure(f"{PROJECT}/groups/def-kim/series?metric=used_bytes")
    assert (status, kind) == (400, "bad_data")
    assert error.startswith("metric: must be one of none")


async def test_quotas_that_cannot_be_read_are_unavailable_not_empty(service: Service) -> None:
    status = make_status("quota", "project", up=False, last_success=None, error="mmrepquota timed out")
    publish_space(service.store, status=status)
    assert await service.failure(f"{PROJECT}/groups/def-kim") == (
        503, "unavailable", 'quota of "project": mmrepquota timed out',
    )  # fmt: skip


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "tokens.yml"
    tokens = {
        name: bearer(make_token(file, f"{name}00000"[:8], "read:own", user=name)) for name in ("alice", "bob", "carol")
    }
    tokens["staff"] = bearer(make_token(file, "staff000", "read:all"))
    publish(idle_service)
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    idle_service.client = await aiohttp_client(app)
    return tokens


async def test_a_group_is_shown_to_those_with_something_in_it_and_to_its_listed_users(
    idle_service: Service, guarded: dict[str, Any]
) -> None:
    seen = {}
    for who, headers in guarded.items():
        statuses = {
            group: (await idle_service.get(f"{PROJECT}/groups/{group}", headers=headers)).status
            for group in ("def-kim", "other", "nobody")
        }
        seen[who] = [group for group, status in statuses.items() if status == 200]
        assert set(statuses.values()) <= {200, 404}
        listed = {each["group"] for each in (await idle_service.data(f"{PROJECT}/groups", headers=headers))["groups"]}
        assert set(seen[who]) == listed - {HOSTILE}
    assert seen == {"alice": ["def-kim"], "bob": ["def-kim"], "carol": ["other"], "staff": ["def-kim", "other"]}


async def test_users_see_their_own_rows_and_the_staff_all_of_them_with_a_line_in_the_log(
    idle_service: Service, guarded: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aggregator.audit")
    own = await idle_service.data(f"{PROJECT}/users", headers=guarded["bob"])
    assert [each["user"] for each in own["users"]] == ["bob"]
    assert caplog.text == ""
    path = f"{PROJECT}/users/alice/series?metric=cpu"
    assert (await idle_service.failure(path, headers=guarded["bob"]))[0] == 404
    assert (await idle_service.get(path, headers=guarded["staff"])).status == 200
    assert "whose=['alice']" in caplog.text
