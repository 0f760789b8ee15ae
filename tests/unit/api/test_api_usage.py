"""Usage history: whose may be seen, in which periods, and what is said of those that are not final."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestClient

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.calendar import DAY, HOUR, RESOLUTIONS, Calendar, Rolled
from aggregator.model.usage import UsageCatalog
from aggregator.sources.base import FetchError

from .builders import NOW, FakeUsage, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

CLUSTER = "/api/v1/clusters/narval"
ACCOUNT, USER, WHOLE = f"{CLUSTER}/accounts/def-kim/usage", f"{CLUSTER}/users/alice/usage", f"{CLUSTER}/usage"
TORONTO = Calendar(ZoneInfo("America/Toronto"), "America/Toronto", "configured")
PARENTS = {"root": "", "def-kim": "root", "sub_a": "def-kim", "other": "root"}
ASSOCIATIONS = {1: ("alice", "def-kim"), 2: ("bob", "sub_a"), 3: ("alice", "other"), 4: ('c"\n🚀', "sub_a")}
LIVE = TORONTO.floor(NOW, "hour")


def make_usage(*, until: float = LIVE, qos: dict[int, str] | None = None, first: float = LIVE - 400 * DAY) -> FakeUsage:
    catalog = UsageCatalog(
        ASSOCIATIONS, PARENTS, frozenset(PARENTS), {1: "cpu", 2: "mem", 1001: "gres/gpu", 1002: "license/x"}, TORONTO,
        {resolution: TORONTO.floor(first, resolution) for resolution in RESOLUTIONS}, qos,
    )  # fmt: skip
    return FakeUsage(catalog, Rolled(*(TORONTO.floor(until, resolution) for resolution in RESOLUTIONS)))


async def serve(idle: Service, aiohttp_client: Any, usage: FakeUsage | None, **settings: Any) -> Service:
    publish_jobs(
        idle.store, make_job(start=NOW - 7200, user="bob", account="sub_a"),
        tree=PARENTS,
        members={"alice": frozenset({"def-kim"})},
    )  # fmt: skip
    idle.rolled = usage
    idle.client = await aiohttp_client(idle.app(**settings))
    return idle


@pytest.fixture
async def rolled(idle_service: Service, aiohttp_client: Any) -> Service:
    return await serve(idle_service, aiohttp_client, make_usage())


async def test_an_account_is_itself_and_all_below_in_slurmdbds_days(rolled: Service) -> None:
    data = await rolled.data(f"{ACCOUNT}?tres=cpu&start=now-3d&resolution=day")

    assert data["time_zone"] == {"name": "America/Toronto", "origin": "configured"}
    assert data["start_timestamp_seconds"] == TORONTO.floor(NOW - 3 * DAY, "day")
    points = data["usage"]["cpu"]
    # Three associations with a hundred seconds in each hour.
    assert [point["seconds"] for point in points[:3]] == [7200.0] * 3
    assert [point["final"] for point in points] == [True, True, True, False]
    assert {point["unit"] for point in points} == {"cpu-seconds"}
    assert data["totals"]["cpu"] == sum(point["seconds"] for point in points)
    assert rolled.rolled is not None
    assert rolled.rolled.asked == [((1, 2, 4), ())]


async def test_the_rows_of_jobs_stand_in_for_what_is_not_rolled_up_and_it_is_said(rolled: Service) -> None:
    ended = make_run(5, account="def-kim", start=LIVE - HOUR, end=LIVE + 60)
    stranger = make_run(6, user="zoe", account="other", start=LIVE - HOUR, end=LIVE + 60)
    rolled.reader.runs = (ended, stranger)
    data = await rolled.data(f"{ACCOUNT}?tres=cpu,gres/gpu&start=now-2h")

    assert (data["resolution"], data["partial"], data["partial_from_timestamp_seconds"]) == ("hour", True, LIVE)
    last = {tres: points[-1] for tres, points in data["usage"].items()}
    assert last["cpu"]["seconds"] == 4 * (NOW - LIVE) + 4 * 60
    assert last["gres/gpu"]["seconds"] == 2 * (NOW - LIVE) + 2 * 60
    assert (last["cpu"]["start_timestamp_seconds"], last["cpu"]["final"]) == (LIVE, False)


async def test_a_tres_that_jobs_do_not_tell_has_no_point_after_the_last_roll_up(rolled: Service) -> None:
    data = await rolled.data(f"{ACCOUNT}?tres=license/x&start=now-2h")

    assert max(point["start_timestamp_seconds"] for point in data["usage"]["license/x"]) == LIVE - HOUR


async def test_a_history_that_is_over_is_final(rolled: Service) -> None:
    data = await rolled.data(f"{ACCOUNT}?tres=mem&start={LIVE - 5 * HOUR}&end={LIVE - 3 * HOUR}")

    assert (data["partial"], data["partial_from_time"]) == (False, None)
    assert [(point["final"], point["unit"]) for point in data["usage"]["mem"]] == [(True, "byte-seconds")] * 2


async def test_when_slurmdbd_is_far_behind_there_is_nothing_and_not_zero(
    idle_service: Service, aiohttp_client: Any
) -> None:
    service = await serve(idle_service, aiohttp_client, make_usage(until=LIVE - 5 * DAY))
    response = await service.get(f"{ACCOUNT}?tres=cpu&start=now-4d&resolution=hour")
    body = await response.json()

    assert (body["data"]["usage"], body["data"]["totals"]) == ({"cpu": []}, {"cpu": None})
    assert any(text.startswith("not rolled up since ") for text in body["warnings"])


async def test_before_the_oldest_row_there_is_nothing_and_not_zero(idle_service: Service, aiohttp_client: Any) -> None:
    service = await serve(idle_service, aiohttp_client, make_usage(first=LIVE - 2 * DAY))
    response = await service.get(f"{ACCOUNT}?tres=cpu&start=now-10d&resolution=day")
    body = await response.json()

    assert body["data"]["usage"]["cpu"][0]["start_timestamp_seconds"] == TORONTO.floor(LIVE - 2 * DAY, "day")
    assert any(text.startswith("slurmdbd keeps no roll-ups from before ") for text in body["warnings"])


async def test_without_the_jobs_that_have_ended_the_rolled_part_is_given(rolled: Service) -> None:
    rolled.reader.error = FetchError("slurmacct narval: connection refused")
    response = await rolled.get(f"{ACCOUNT}?tres=cpu&start=now-2h")
    body = await response.json()

    assert [point["final"] for point in body["data"]["usage"]["cpu"]] == [True, True]
    assert any("connection refused" in text for text in body["warnings"])


async def test_a_user_is_given_over_accounts_or_under_one(rolled: Service) -> None:
    both = await rolled.data(f"{USER}?tres=cpu&start=now-1d&end={LIVE}")
    one = await rolled.data(f"{USER}?tres=cpu&start=now-1d&end={LIVE}&account=other")

    assert (both["accounts"], one["accounts"]) == (["def-kim", "other"], ["other"])
    assert both["totals"]["cpu"] == 2 * one["totals"]["cpu"]


async def test_the_capacity_of_the_cluster_is_given_by_state(rolled: Service) -> None:
    data = await rolled.data(f"{WHOLE}?tres=cpu&start=now-3h")

    states = {"allocated": 10.0, "down": 10.0, "planned_down": 10.0, "planned": 10.0, "idle": 10.0, "over": 10.0}
    assert [point["seconds"] for point in data["usage"]["cpu"]] == [states] * 3
    assert data["totals"]["cpu"]["idle"] == 30.0
    assert data["partial"] is True


@pytest.mark.parametrize(
    ("start", "end", "chosen"),
    [
        (TORONTO.floor(NOW - 90 * DAY, "month"), TORONTO.floor(NOW, "month"), "month"),
        (TORONTO.floor(NOW - 9 * DAY, "day"), TORONTO.floor(NOW, "day"), "day"),
        (TORONTO.floor(NOW - 9 * DAY, "day") + HOUR, TORONTO.floor(NOW, "day"), "hour"),
        (NOW - 390 * DAY, NOW, "hour"),
        (NOW - 9 * 365 * DAY, NOW, "day"),
    ],
    ids=["months", "days", "else hours", "a year", "too many hours"],
)
async def test_the_resolution_is_chosen_by_the_bounds(rolled: Service, start: float, end: float, chosen: str) -> None:
    assert (await rolled.data(f"{ACCOUNT}?tres=cpu&start={start}&end={end}"))["resolution"] == chosen


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("start=now-5y&resolution=hour", "resolution: more than 11000 points; ask for less time"),
        ("tres=gpu", 'tres: must be one of cpu, gres/gpu, license/x, mem, got "gpu"'),
        ("resolution=week", 'resolution: must be one of day, hour, month, got "week"'),
        ("resolution=day&resolution=hour", "resolution: must be given once"),
        (f"start={NOW}&end={NOW}", "start: must be before end"),
        (f"start={NOW + 90 * DAY}", "start: must be before end"),
        ("start=now%2B1d", "start: must be a time such as "),
        ("end=now-1", "end: must be a time such as "),
        ("end=now-300y", "end: must be a time such as "),
        ("step=5m", "step: unknown parameter"),
        ("qos=high", "qos: slurmdbd rolls usage up by QOS from Slurm 24.11 on only"),
    ],
)
async def test_a_wrong_parameter_is_named(rolled: Service, query: str, text: str) -> None:
    status, kind, error = await rolled.failure(f"{ACCOUNT}?{query}")

    assert (status, kind) == (400, "bad_data")
    assert error.startswith(text)


@pytest.mark.parametrize("time", ["0", "1099511627776", "1969-12-31T23:59:59-11:00", "now"])
async def test_no_bound_of_time_does_more_than_be_refused(rolled: Service, time: str) -> None:
    for query in ({"start": time}, {"end": time}, {"start": time, "end": time}):
        response = await rolled.get(ACCOUNT, params={**query, "resolution": "month", "tres": "cpu"})
        assert response.status in (200, 400)


async def test_usage_by_qos_is_asked_for_by_name(idle_service: Service, aiohttp_client: Any) -> None:
    service = await serve(idle_service, aiohttp_client, make_usage(qos={7: "high", 8: "low"}))
    await service.data(f"{ACCOUNT}?tres=cpu&qos=high&start=now-1h")

    assert service.rolled is not None
    assert service.rolled.asked == [((1, 2, 4), (7,))]
    assert (await service.failure(f"{ACCOUNT}?qos=none"))[2] == 'qos: must be one of high, low, got "none"'


async def test_the_same_question_is_read_once(rolled: Service) -> None:
    for _ in range(3):
        await rolled.data(f"{ACCOUNT}?tres=cpu&start=now-1d")

    assert rolled.rolled is not None
    assert len(rolled.rolled.asked) == 1


@pytest.mark.parametrize("path", [ACCOUNT, USER, WHOLE])
async def test_tables_that_are_not_granted_are_said(idle_service: Service, aiohttp_client: Any, path: str) -> None:
    service = await serve(idle_service, aiohttp_client, None)

    status, kind, error = await service.failure(path)
    assert (status, kind) == (422, "execution")
    assert error == 'cluster "narval": slurmdbd\'s usage tables are not there, or not granted'


async def test_a_source_that_fails_is_unavailable(rolled: Service) -> None:
    assert rolled.rolled is not None
    rolled.rolled.error = FetchError("clusters.narval.slurmacct: the connection was lost")

    assert (await rolled.failure(ACCOUNT))[0] == 503


async def test_hostile_names_are_not_found_and_known_ones_are_found(rolled: Service) -> None:
    assert (await rolled.failure(f"{CLUSTER}/accounts/x%27%20OR%201=1/usage"))[0] == 404
    assert (await rolled.data(f"{CLUSTER}/users/c%22%0A%F0%9F%9A%80/usage?start=now-1h"))["accounts"] == ["sub_a"]


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> TestClient[Any, Any]:
    tokens = TokenStore(tmp_path / "tokens.yml")
    served = await serve(idle_service, aiohttp_client, make_usage(), tokens=tokens, open_areas=frozenset({HEALTH}))
    assert served.client is not None
    return served.client


async def test_a_user_sees_own_usage_and_that_of_the_own_accounts(
    guarded: TestClient[Any, Any], tmp_path: Path
) -> None:
    headers = bearer(make_token(tmp_path / "tokens.yml", "aaaa1111", "read:own", user="alice"))

    async def status(path: str) -> int:
        return (await guarded.get(f"{CLUSTER}/{path}/usage", headers=headers)).status

    assert [await status(path) for path in ("users/alice", "accounts/def-kim")] == [200, 200]
    assert [await status(path) for path in ("users/bob", "users/nobody", "accounts/other", "accounts/none")] == [
        404
    ] * 4
    assert (await guarded.get(WHOLE, headers=headers)).status == 200


async def test_of_a_user_only_what_is_under_the_own_account_is_shown_to_its_reader(
    guarded: TestClient[Any, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    headers = bearer(make_token(tmp_path / "tokens.yml", "bbbb2222", "read:account:def-kim"))
    with caplog.at_level("INFO", logger="aggregator.audit"):
        response = await guarded.get(f"{USER}?start=now-1h", headers=headers)

    assert (await response.json())["data"]["accounts"] == ["def-kim"]
    assert "whose=['alice']" in caplog.text
