"""Finished runs on demand, and what they add up to."""

from pathlib import Path
from typing import Any

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.accounting import JobState, Run
from aggregator.model.jobid import JobId
from aggregator.state import StateError

from .builders import FETCH_ERROR, JOBS, NOW, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

DAY = 86_400.0
TREE = {"root": "", "def-kim": "root", "def-kim-sub": "def-kim"}
MEMBERS = {"alice": frozenset({"def-kim"}), "bob": frozenset({"def-kim-sub"})}


def ended(job_id: int, **changes: Any) -> Run:
    """Make a run that ended `job_id` seconds before now."""
    times = {"submit": NOW - 4000 - job_id, "start": NOW - 3600 - job_id, "end": NOW - job_id}
    return make_run(job_id, **{"state": JobState.COMPLETED, **times, **changes})


def publish(service: Service, *runs: Run) -> None:
    publish_jobs(service.store, make_job(1), tree=TREE, members=MEMBERS)
    service.history.runs = runs


async def ids(service: Service, query: str) -> list[int]:
    return [run["job_id"] for run in (await service.data(f"{JOBS}/history?{query}"))["jobs"]]


async def test_finished_runs_of_a_time_come_newest_end_first(service: Service) -> None:
    publish(service, ended(10), ended(20), ended(3000))
    data = await service.data(f"{JOBS}/history?since={NOW - 1000}")
    assert [run["job_id"] for run in data["jobs"]] == [10, 20]
    assert (data["next_cursor"], data["examined"], data["event"]) == (None, 2, "ended")
    assert (data["since_timestamp_seconds"], data["until_timestamp_seconds"]) == (NOW - 1000, NOW)


async def test_until_is_not_in_the_window_and_since_is(service: Service) -> None:
    publish(service, ended(10), ended(20), ended(30))
    assert await ids(service, f"since={NOW - 30}&until={NOW - 10}") == [20, 30]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user=bob", [20]),
        ("account=def-kim", [10, 20, 30]),
        ("account=def-kim-sub", [20]),
        ("partition=gpu", [30]),
        ("node=n2", [20]),
        ("state=failed", [20]),
        ("name=train", [30]),
        ("qos=high", [10]),
        ("id=20,30", [20, 30]),
        ("id=900_3", [30]),
        ("array=900", [30]),
        ("array=900&state=failed", []),
        ("user=bob&state=failed&partition=cpu&node=n2&account=def-kim", [20]),
    ],
)
async def test_every_filter_narrows_the_finished_runs(service: Service, query: str, expected: list[int]) -> None:
    """An account stands for those below it, too."""
    publish(
        service,
        ended(10, qos="high"),
        ended(20, user="bob", account="def-kim-sub", nodes=("n1", "n2"), state=JobState.FAILED),
        ended(30, partition="gpu", name="train", array_job_id=900, array_task_id=3),
        ended(40, account="other"),
    )
    found = await ids(service, f"since={NOW - 1000}&{query}")
    assert [job_id for job_id in found if job_id != 40 or "account" in query] == expected


async def test_a_user_an_id_and_an_array_choose_what_is_read(service: Service) -> None:
    publish(service, ended(10))
    service.history.known = {"alice": 1001}
    await ids(service, f"since={NOW - 1000}&user=alice&account=def-kim")
    await ids(service, f"since={NOW - 1000}&id=10")
    await ids(service, f"since={NOW - 1000}&array=900")
    by_user, by_id, by_array = service.history.asked
    assert service.history.uids_asked == [(frozenset({"alice"}), frozenset({"def-kim", "def-kim-sub"}))]
    assert (by_user.uids, by_id.ids, by_array.arrays) == (frozenset({1001}), frozenset({JobId(10)}), frozenset({900}))


@pytest.mark.parametrize("event", ["started", "submitted"])
async def test_runs_that_started_in_a_time_may_end_much_later(service: Service, event: str) -> None:
    publish(service, ended(10), ended(5000, start=NOW - 90_000, submit=NOW - 90_000))
    assert await ids(service, f"since={NOW - 100_000}&until={NOW - 80_000}&time={event}") == [5000]


async def test_pages_follow_each_other_and_a_short_one_says_so(service: Service) -> None:
    publish(service, *(ended(number) for number in range(1, 12)))
    seen: list[int] = []
    cursor = ""
    while True:
        data = await service.data(f"{JOBS}/history?since={NOW - 1000}&limit=4{cursor}")
        seen += [run["job_id"] for run in data["jobs"]]
        if data["next_cursor"] is None:
            break
        cursor = f"&cursor={data['next_cursor']}"
    assert seen == list(range(1, 12))


async def test_a_page_on_which_nothing_was_found_says_that_it_is_not_the_last(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(service, *(ended(number) for number in range(1, 12)))
    monkeypatch.setattr("aggregator.api.history.find_ended.__defaults__", (6,))
    body = await (await service.get(f"{JOBS}/history?since={NOW - 1000}&partition=nowhere")).json()
    assert body["data"]["jobs"] == []
    assert body["data"]["next_cursor"]
    assert body["warnings"] == ["the page is short: 6 rows were examined, and next_cursor goes on from there"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (f"until={NOW}", "since: is required"),
        ("time=ended", "since: is required"),
        (f"since={NOW}", "since: must be before until"),
        (f"since={NOW - 10}&until={NOW - 20}", "since: must be before until"),
        (f"since={NOW - 367 * DAY}", "since: must be at most 366 days before until"),
        (f"since={NOW - 10}&time=eligible", "time: must be one of ended, started, submitted"),
        (f"since={NOW - 10}&time=ended,started", "time: must be given once"),
        (f"since={NOW - 10}&severity=warning", "severity: unknown parameter"),
        (f"since={NOW - 10}&array=900_1", "array: must be the id of a whole array"),
        (f"since={NOW - 10}&id=x", "job id: must be like"),
        (f"since={NOW - 10}&id={','.join(map(str, range(21)))}", "id: must be at most 20 values, got 21"),
        (f"since={NOW - 10}&cursor=WzEsMl0", "cursor: must be the next_cursor"),
    ],
)
async def test_what_is_wrong_is_named(service: Service, query: str, text: str) -> None:
    publish(service)
    status, kind, error = await service.failure(f"{JOBS}/history?{query}")
    assert (status, kind) == (400, "bad_data")
    assert error.startswith(text)


async def test_ended_runs_show_what_was_kept_of_them(service: Service) -> None:
    publish(service, ended(10))
    service.kept.kept = {8910: {"used_cpus": 3.5, "cpu_coverage_ratio": 1.0, "cpu_efficiency_ratio": 0.9}}
    (run,) = (await service.data(f"{JOBS}/history?since={NOW - 1000}"))["jobs"]
    assert (run["used_cpus"], run["cpu_efficiency_ratio"]) == (3.5, 0.9)
    service.kept.error = StateError("state.url: locked")
    body = await (await service.get(f"{JOBS}/history?since={NOW - 1000}&limit=7")).json()
    assert body["warnings"] == ["the use of ended runs is missing: state.url: locked"]


async def test_the_share_of_the_time_limit_needs_nothing_that_was_kept(service: Service) -> None:
    publish(service, ended(10))
    (run,) = (await service.data(f"{JOBS}/history?since={NOW - 1000}"))["jobs"]
    ratios = [run[f"{name}_ratio"] for name in ("cpu_efficiency", "memory_efficiency", "time_limit_used")]
    assert (ratios, run["wasted_cpu_seconds"]) == ([None, None, 0.5], None)


async def test_a_database_that_is_down_is_unavailable(service: Service) -> None:
    publish(service)
    service.history.error = FETCH_ERROR
    assert await service.failure(f"{JOBS}/history?since={NOW - 10}") == (503, "unavailable", str(FETCH_ERROR))


@pytest.fixture
async def alice(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> Service:
    """A client with alice's token."""
    file = tmp_path / "tokens.yml"
    token = make_token(file, "alice000", "read:own", user="alice")
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    idle_service.client = await aiohttp_client(app, headers=bearer(token))
    return idle_service


async def test_a_user_finds_own_runs_only_and_others_are_not_even_read(alice: Service) -> None:
    publish(alice, ended(10), ended(20, user="bob", account="def-kim-sub"))
    alice.history.known = {"alice": 1001}
    assert await ids(alice, f"since={NOW - 1000}") == [10]
    assert alice.history.uids_asked == [(frozenset({"alice"}), frozenset())]
    assert alice.history.asked[-1].uids == {1001}
    assert await ids(alice, f"since={NOW - 1000}&user=bob") == []
    assert await ids(alice, f"since={NOW - 1000}&id=20") == []
    assert await ids(alice, f"since={NOW - 1000}&user=bob,alice") == [10]


USERS, ACCOUNTS = "/api/v1/clusters/narval/users", "/api/v1/clusters/narval/accounts"


async def test_a_summary_adds_up_the_users_finished_runs(service: Service) -> None:
    publish(service, ended(10), ended(20, state=JobState.FAILED), ended(30, user="bob"))
    service.kept.kept = {8910: {"cpu_efficiency_ratio": 0.5, "wasted_cpu_seconds": 7200.0}}
    data = await service.data(f"{USERS}/alice/jobs/summary?since={NOW - 1000}")
    assert (data["user"], data["runs"], data["states"]) == ("alice", 2, {"completed": 1, "failed": 1})
    assert data["efficiency"]["cpu"] == {
        "value": 0.5, "unit": "ratio", "coverage": 0.5, "source": "Prometheus while the runs ran, as kept in the state",
    }  # fmt: skip
    assert data["efficiency"]["memory"] is None
    assert data["wasted"]["cpu_seconds"]["value"] == 7200.0
    assert data["time_limit_used"][-1] == {"le": None, "count": 2}
    assert (data["truncated"], data["oldest_end_timestamp_seconds"]) == (False, NOW - 20)


async def test_an_accounts_summary_has_the_accounts_below_it(service: Service) -> None:
    publish(service, ended(10), ended(20, account="def-kim-sub"), ended(30, account="other"))
    data = await service.data(f"{ACCOUNTS}/def-kim/jobs/summary?since={NOW - 1000}")
    assert (data["runs"], data["with_children"]) == (2, True)


async def test_a_summary_that_is_cut_says_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(service, *(ended(number) for number in range(1, 12)))
    monkeypatch.setattr("aggregator.api.summaries.SUMMARY_ROWS", 6)
    body = await (await service.get(f"{USERS}/alice/jobs/summary?since={NOW - 1000}")).json()
    assert (body["data"]["truncated"], body["data"]["runs"]) == (True, 6)
    assert body["warnings"] == ["truncated: the newest 6 runs; 6 rows were examined"]


async def test_a_summary_shows_a_user_nothing_of_others(alice: Service) -> None:
    publish(alice, ended(10), ended(20, user="bob", account="def-kim"))
    assert (await alice.data(f"{USERS}/alice/jobs/summary?since={NOW - 1000}"))["runs"] == 1
    window = f"jobs/summary?since={NOW - 1000}"
    bob = await alice.failure(f"{USERS}/bob/{window}")
    nobody = await alice.failure(f"{USERS}/nobody/{window}")
    assert bob[0] == 404
    assert bob[2].replace("bob", "nobody") == nobody[2], "as one who does not exist"
    assert (await alice.failure(f"{ACCOUNTS}/def-kim-sub/{window}"))[0] == 404
    assert (await alice.failure(f"{ACCOUNTS}/nowhere/{window}"))[0] == 404


async def test_a_member_sees_the_sums_of_the_own_account_without_those_below(alice: Service) -> None:
    publish(alice, ended(10), ended(20, user="bob"), ended(30, user="bob", account="def-kim-sub"))
    data = await alice.data(f"{ACCOUNTS}/def-kim/jobs/summary?since={NOW - 1000}")
    assert (data["runs"], data["with_children"]) == (2, False)


async def test_staff_see_that_a_known_user_has_run_nothing(service: Service) -> None:
    publish(service)
    assert (await service.data(f"{USERS}/bob/jobs/summary?since={NOW - 1000}"))["runs"] == 0
    assert (await service.failure(f"{USERS}/mallory/jobs/summary?since={NOW - 1000}"))[0] == 404
    assert (await service.failure(f"{USERS}/bob/jobs/summary"))[2] == "since: is required"
