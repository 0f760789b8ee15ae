"""Finished runs on demand, page by page: which of them, for whom, and what is read for it."""

from pathlib import Path
from typing import Any

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.history import LISTED
from aggregator.api.tokens.store import TokenStore
from aggregator.engine.query import Order, write_cursor
from aggregator.model.accounting import JobState, Run
from aggregator.model.jobid import JobId
from aggregator.model.tres import Allocation
from aggregator.state import StateError

from .builders import FETCH_ERROR, JOBS, NOW, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

DAY = 86_400.0
HISTORY = f"{JOBS}/history?start={NOW - 1000}"
# Cursors that somebody has made: values of a wrong type or size.
FORGED = [
    write_cursor([Order.read(name) for name in LISTED.order], last)
    for last in ([None, 1, 2], [float("inf"), 1, 2], [float("nan"), 1, 2], [-1, 1, 2], [1e300, 1, 2], ["x", 1, 2], [1])
]
TREE = {"root": "", "def-kim": "root", "def-kim-sub": "def-kim"}
MEMBERS = {"alice": frozenset({"def-kim"}), "bob": frozenset({"def-kim-sub"})}


def ended(job_id: int, **changes: Any) -> Run:
    """Make a run that ended `job_id` seconds before now."""
    times = {"submit": NOW - 4000 - job_id, "start": NOW - 3600 - job_id, "end": NOW - job_id}
    return make_run(job_id, **{"state": JobState.COMPLETED, **times, **changes})


def publish(service: Service, *runs: Run) -> None:
    publish_jobs(service.store, make_job(1), tree=TREE, members=MEMBERS)
    service.history.runs = runs


async def ids(service: Service, query: str = "") -> list[int]:
    return [run["job_id"] for run in (await service.data(f"{HISTORY}&{query}"))["jobs"]]


async def test_finished_runs_of_a_time_come_newest_end_first(service: Service) -> None:
    publish(service, ended(10), ended(20), ended(3000))
    data = await service.data(HISTORY)
    assert [run["job_id"] for run in data["jobs"]] == [10, 20]
    assert (data["next_cursor"], data["total"], data["examined"], data["truncated"]) == (None, None, 2, False)
    assert (data["time"], data["start_timestamp_seconds"], data["end_timestamp_seconds"]) == ("ended", NOW - 1000, NOW)


async def test_the_end_is_not_in_the_time_and_the_start_is(service: Service) -> None:
    publish(service, ended(10), ended(20), ended(30))
    data = await service.data(f"{JOBS}/history?start={NOW - 30}&end={NOW - 10}")
    assert [run["job_id"] for run in data["jobs"]] == [20, 30]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user=bob", [20]),
        ("account=def-kim", [10, 30]),
        ("account=def-kim&with_children=true", [10, 20, 30]),
        ("account=def-kim-sub&with_children=false", [20]),
        ("partition=gpu", [30]),
        ("node=n2", [20]),
        ("state=FAILED", [20]),
        ("job_name=train", [30]),
        ("qos=high", [10]),
        ("id=20,30", [20, 30]),
        ("id=900_3", [30]),
        ("id=900", [30]),
        ("array_job_id=900", [30]),
        ("array_job_id=900&state=failed", []),
        ("job_id=10&job_id=40", [10, 40]),
        ("user=bob&state=failed&partition=cpu&node=n2&account=def-kim-sub", [20]),
        ("min_elapsed_seconds=3601", [40]),
        ("max_wait_seconds=385&max_elapsed_seconds=3600", [20, 30]),
        ("gpu_type=h100&count=1", [40]),
        ("gpu_type=h100&count=2", []),
        ("min_granted_gpus=1&max_granted_gpus=1", [40]),
        ("day=2023-11-14&user=bob", [20]),
    ],
)
async def test_every_filter_narrows_the_finished_runs(service: Service, query: str, expected: list[int]) -> None:
    publish(
        service,
        ended(10, qos="high"),
        ended(20, user="bob", account="def-kim-sub", nodes=("n1", "n2"), state=JobState.FAILED),
        ended(30, partition="gpu", name="train", array_job_id=900, array_task_id=3),
        ended(40, account="other", start=NOW - 4000, allocated=Allocation(1, 0, 1, {"h100": 1})),
    )
    assert await ids(service, query) == expected
    assert await ids(service, f"{query}&sort=-end_timestamp_seconds,job_name") == expected, "of all of the time, too"


async def test_a_user_an_id_and_an_array_choose_what_is_read(service: Service) -> None:
    publish(service, ended(10))
    service.history.known = {"alice": 1001}
    for query in ("user=alice&account=def-kim&with_children=true", "id=10", "array_job_id=900"):
        await ids(service, query)
    by_user, by_id, by_array = service.history.asked
    assert service.history.uids_asked == [(frozenset({"alice"}), frozenset({"def-kim", "def-kim-sub"}))]
    assert (by_user.uids, by_id.ids, by_array.arrays) == (frozenset({1001}), frozenset({JobId(10)}), frozenset({900}))


async def test_more_arrays_than_are_read_one_by_one_are_looked_for_in_the_time(service: Service) -> None:
    publish(service, ended(10, array_job_id=900))
    assert await ids(service, f"array_job_id={','.join(map(str, range(890, 911)))}") == [10]
    assert not service.history.asked[-1].arrays


@pytest.mark.parametrize("event", ["started", "submitted"])
async def test_runs_that_started_in_a_time_may_end_much_later(service: Service, event: str) -> None:
    publish(service, ended(10), ended(5000, start=NOW - 90_000, submit=NOW - 90_000))
    data = await service.data(f"{JOBS}/history?start={NOW - 100_000}&end={NOW - 80_000}&time={event}&fields=job_id,day")
    assert data["jobs"] == [{"job_id": 5000, "day": "2023-11-13"}]


@pytest.mark.parametrize("query", ["", "&sort=job_id", "&sort=-wait_seconds,user", "&group_by=job_name"])
async def test_pages_follow_each_other_and_have_everything_once(service: Service, query: str) -> None:
    publish(service, *(ended(number, name=str(number), eligible=NOW - 4000) for number in range(1, 12)))
    seen: list[int] = []
    cursor = ""
    while True:
        data = await service.data(f"{HISTORY}&limit=4&fields=job_name{query}{cursor}")
        seen += [int(run["job_name"]) for run in data["jobs"]]
        if data["next_cursor"] is None:
            break
        cursor = f"&cursor={data['next_cursor']}"
    assert sorted(seen) == list(range(1, 12))
    assert query or seen == sorted(seen)


async def test_a_page_on_which_nothing_was_found_says_that_it_is_not_the_last(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(service, *(ended(number) for number in range(1, 12)))
    monkeypatch.setattr("aggregator.api.history.PAGE_ROWS", 6)
    body = await (await service.get(f"{HISTORY}&partition=nowhere")).json()
    assert body["data"]["jobs"] == []
    assert body["warnings"] == ["the page is short: 6 rows were examined, and next_cursor goes on from there"]
    rest = await service.data(f"{HISTORY}&partition=nowhere&cursor={body['data']['next_cursor']}")
    assert (rest["examined"], rest["next_cursor"]) == (5, None)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (f"end={NOW}", "start: is required"),
        ("time=ended", "start: is required"),
        (f"start={NOW}", "start: must be before end"),
        (f"start={NOW - 10}&end={NOW - 20}", "start: must be before end"),
        (f"start={NOW - 367 * DAY}", "start: must be at most 366 days before end"),
        ("start=now-1d&start=now", "start: must be given once"),
        (f"start={NOW - 10}&time=eligible", "time: must be one of ended, started, submitted"),
        (f"start={NOW - 10}&time=ended,started", "time: must be one of ended, started, submitted"),
        ("starts=now-1d", "starts: no such parameter, did you mean start?"),
        (f"since={NOW - 10}", "since: no such parameter"),
        (f"start={NOW - 10}&reason=gpu_unused", "reason: no such parameter"),
        (f"start={NOW - 10}&id=x", "job id: must be like"),
        (f"start={NOW - 10}&id={','.join(map(str, range(21)))}", "id: must be at most 20 values, got 21"),
        (f"start={NOW - 10}&array_job_id=x", "array_job_id: 'x' is not a number"),
        (f"start={NOW - 10}&min_granted_cpus=many", "min_granted_cpus: 'many' is not a number"),
        (f"start={NOW - 10}&state=done", "state: must be one of"),
        (f"start={NOW - 10}&sort=wait_second", 'sort: no field "wait_second", did you mean wait_seconds?'),
        (f"start={NOW - 10}&group_by=nodes", 'group_by: no field "nodes"'),
        (f"start={NOW - 10}&format=xml", "format: must be one of json, csv"),
        (f"start={NOW - 10}&cursor=WzEsMl0", "cursor: must be the next_cursor"),
        *((f"start={NOW - 10}&cursor={cursor}", "cursor: must be the next_cursor") for cursor in FORGED),
    ],
)
async def test_what_is_wrong_is_named_though_there_is_nothing_to_see(service: Service, query: str, text: str) -> None:
    publish(service)
    status, kind, error = await service.failure(f"{JOBS}/history?{query}")
    assert (status, kind) == (400, "bad_data")
    assert error.startswith(text)
    assert service.history.asked == []


async def test_ended_runs_show_what_was_kept_of_them(service: Service) -> None:
    publish(service, ended(10))
    service.kept.kept = {8910: {"used_cpus": 3.5, "cpu_coverage_ratio": 1.0, "cpu_efficiency_ratio": 0.9}}
    (run,) = (await service.data(HISTORY))["jobs"]
    assert (run["used_cpus"], run["cpu_efficiency_ratio"]) == (3.5, 0.9)
    service.kept.error = StateError("state.url: locked")
    body = await (await service.get(f"{HISTORY}&limit=7")).json()
    assert body["warnings"] == ["the use of ended runs is missing: state.url: locked"]


async def test_the_share_of_the_time_limit_needs_nothing_that_was_kept(service: Service) -> None:
    publish(service, ended(10))
    (run,) = (await service.data(HISTORY))["jobs"]
    ratios = [run[f"{name}_ratio"] for name in ("cpu_efficiency", "memory_efficiency", "time_limit_used")]
    assert (ratios, run["wasted_cpu_seconds"]) == ([None, None, 0.5], None)


@pytest.mark.parametrize("query", ["", "&sort=user", "&group_by=user", "&format=csv"])
async def test_a_database_that_is_killed_at_any_time_is_unavailable(service: Service, query: str) -> None:
    """Half of a time is no answer."""
    publish(service, *(ended(number) for number in range(1, 12)))
    for reads in range(3):
        service.history.error, service.history.error_after = FETCH_ERROR, reads
        path = f"{JOBS}/history?start={NOW - 1000 - reads}{query}"
        assert await service.failure(path) == (503, "unavailable", str(FETCH_ERROR))


async def test_a_user_finds_own_runs_only_and_others_are_not_even_read(alice: Service) -> None:
    publish(alice, ended(10), ended(20, user="bob", account="def-kim-sub"))
    alice.history.known = {"alice": 1001}
    assert await ids(alice) == [10]
    assert alice.history.uids_asked == [(frozenset({"alice"}), frozenset())]
    assert alice.history.asked[-1].uids == {1001}
    assert await ids(alice, "user=bob") == []
    assert await ids(alice, "user=bob,alice") == [10]


@pytest.mark.parametrize("query", ["id={}", "user={}", "job_name={}", "id={}&sort=user", "user={}&group_by=user"])
async def test_what_may_not_be_seen_answers_as_what_is_not_there(alice: Service, query: str) -> None:
    publish(alice, ended(20, user="bob", name="20"))
    seen, unknown = [await alice.data(f"{HISTORY}&{query.format(what)}") for what in (20, 21)]
    assert seen == unknown
    assert (seen["jobs"], seen["examined"], seen["truncated"]) == ([], 0, False)


async def test_a_coordinators_runs_and_those_of_the_own_accounts_are_read_and_of_others_none_is_counted(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.yml"
    token = make_token(file, "alice000", "read:own", "read:account:def-kim-sub", user="alice")
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    idle_service.client = await aiohttp_client(app, headers=bearer(token))
    bobs = ended(20, user="bob", account="def-kim-sub"), ended(21, user="bob"), ended(22, user="bob")
    publish(idle_service, ended(10), *bobs)
    asked = idle_service.history.uids_asked
    assert await ids(idle_service) == [10, 20]
    assert asked == [(frozenset({"alice"}), frozenset()), (frozenset(), frozenset({"def-kim-sub"}))]
    asked.clear()
    data = await idle_service.data(f"{HISTORY}&user=bob")
    assert ([run["job_id"] for run in data["jobs"]], data["examined"]) == ([20], 2), "the own one, and one of bob's"
    assert asked == [(frozenset({"bob"}), frozenset({"def-kim-sub"}))]
