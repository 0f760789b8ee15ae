"""What a whole time of finished runs has: another order, groups, CSV, and what the state has kept."""

import csv
import io
import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.accounting import JobState, Run
from aggregator.model.calendar import Calendar, Rolled
from aggregator.model.tres import Allocation
from aggregator.model.usage import UsageCatalog
from aggregator.state import StateError
from tests.builders import HOSTILE_NAMES

from .builders import NOW, FakeUsage
from .conftest import Service
from .test_api_history import HISTORY, JOBS, ended, ids, publish
from .tokens import bearer, make_token

TORONTO = Calendar(ZoneInfo("America/Toronto"), "America/Toronto", "configured")
FIELDS = "jobs,timeouts_ratio,wait_seconds_p50,elapsed_seconds_p90,wasted_gpu_seconds,allocated_cpus"
# Each example asks of a time of its own: what was read a moment ago is kept.
STARTS = count(int(NOW) - 200_000)


async def groups(service: Service, query: str) -> list[dict[str, Any]]:
    return list((await service.data(f"{HISTORY}&{query}"))["jobs"])


async def test_a_week_is_ranked_by_waste_in_one_call(service: Service) -> None:
    runs = [ended(number, user=f"u{number % 3}", allocated=Allocation(4, 0, 1, {"a100": 1})) for number in range(1, 8)]
    publish(service, *runs)
    service.kept.kept = {run.run_id: {"wasted_gpu_seconds": float(run.job_id)} for run in runs if run.job_id != 6}
    found = await groups(service, "group_by=user&sort=-wasted_gpu_seconds&limit=2&fields=user,jobs,wasted_gpu_seconds")
    assert [tuple(row.values()) for row in found] == [("u1", 3, 12.0), ("u2", 2, 7.0)]
    (rest,) = await groups(service, "group_by=user&user=u0&fields=wasted_gpu_seconds,wasted_gpu_seconds_coverage_ratio")
    assert rest == {"wasted_gpu_seconds": 3.0, "wasted_gpu_seconds_coverage_ratio": 0.5}


async def test_the_pages_of_partitions_are_one_call(service: Service) -> None:
    """Lengths, waits and timeouts of each partition by day."""
    publish(
        service,
        ended(10), ended(20, state=JobState.TIMEOUT, time_limit_seconds=3600.0), ended(30, partition="gpu", start=None),
    )  # fmt: skip
    data = await service.data(f"{HISTORY}&group_by=partition,day&sort=partition&fields=partition,day,{FIELDS}")
    assert [tuple(row.values()) for row in data["jobs"]] == [
        ("cpu", "2023-11-14", 2, 0.5, 380.0, 3600.0, None, 8.0),
        ("gpu", "2023-11-14", 1, 0.0, None, None, None, None),
    ]
    assert (data["total"], data["truncated"], data["time_zone"]) == (2, False, "UTC")


async def test_what_was_kept_is_sorted_and_chosen_by(service: Service) -> None:
    publish(service, ended(10), ended(20), ended(30))
    service.kept.kept = {8910: {"cpu_efficiency_ratio": 0.2}, 8930: {"cpu_efficiency_ratio": 0.7}}
    assert await ids(service, "sort=-cpu_efficiency_ratio") == [30, 10, 20], "what is not known is last"
    assert await ids(service, "sort=cpu_efficiency_ratio") == [10, 30, 20]
    assert await ids(service, "max_cpu_efficiency_ratio=0.5") == [10]
    data = await service.data(f"{HISTORY}&min_cpu_efficiency_ratio=0&limit=1")
    assert (data["jobs"][0]["job_id"], data["total"]) == (10, 2)
    assert await ids(service, f"min_cpu_efficiency_ratio=0&limit=1&cursor={data['next_cursor']}") == [30]


async def test_days_are_those_by_which_slurmdbd_rolls_up(service: Service, aiohttp_client: Any) -> None:
    catalog = UsageCatalog({}, {}, frozenset(), {}, TORONTO, {}, {})
    service.rolled = FakeUsage(catalog, Rolled(NOW, NOW, NOW))
    service.client = await aiohttp_client(service.app())
    midnight = TORONTO.floor(NOW, "day")
    publish(service, ended(1, end=midnight - 1), ended(2, end=midnight))
    data = await service.data(f"{JOBS}/history?start=now-1d&group_by=day&fields=day,jobs")
    assert data["jobs"] == [{"day": "2023-11-13", "jobs": 1}, {"day": "2023-11-14", "jobs": 1}]
    assert data["time_zone"] == "America/Toronto"


@pytest.mark.parametrize("query", ["group_by=user", "sort=user", "max_cpu_efficiency_ratio=1"])
async def test_what_is_cut_says_what_is_missing(service: Service, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    publish(service, *(ended(number) for number in range(1, 12)))
    monkeypatch.setattr("aggregator.api.history.WHOLE_ROWS", 6)
    body = await (await service.get(f"{HISTORY}&{query}")).json()
    assert (body["data"]["truncated"], body["data"]["examined"]) == (True, 6)
    assert body["warnings"] == [
        "truncated: 6 rows were examined; the oldest, which ended by 2023-11-14T22:13:14Z, are missing"
    ]


async def test_csv_is_whole_has_any_name_and_its_headers_say_what_is_missing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(service, *(ended(number, name=name) for number, name in enumerate(HOSTILE_NAMES, 1)))
    response = await service.get(f"{HISTORY}&fields=job_id,job_name&limit=1&format=csv")
    rows = list(csv.DictReader(io.StringIO(await response.text(), newline="")))
    assert [(row["job_id"], row["job_name"]) for row in rows] == [
        (str(number), name) for number, name in enumerate(HOSTILE_NAMES, 1)
    ]
    assert "Warning" not in response.headers
    monkeypatch.setattr("aggregator.api.history.WHOLE_ROWS", 6)
    service.kept.error = StateError("state.url:\r\nlocked\x00é")
    response = await service.get(f"{HISTORY}&group_by=user&fields=jobs", headers={"Accept": "text/csv"})
    assert await response.text() == "jobs\n6\n"
    kept, cut = response.headers.getall("Warning")
    assert kept == '199 - "the use of ended runs is missing: state.url:\\r\\nlocked\\u0000\\u00e9"'
    assert cut.startswith('199 - "truncated: 6 rows were examined')


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "'; DROP TABLE x; --", "\u202eevil"])
async def test_hostile_names_are_groups_and_filters_like_others(service: Service, name: str) -> None:
    publish(service, ended(10, user=name, account=name, partition="p"), ended(20))
    if "," not in name:
        assert await ids(service, f"user={quote(name)}&account={quote(name)}&sort=user") == [10]
    found = await groups(service, "group_by=user,account&fields=user,account,jobs&sort=-jobs")
    assert {"user": name, "account": name, "jobs": 1} in found


@pytest.fixture
async def alice(alice: Service) -> Service:
    """She is a member of def-kim, which bob, too, has used."""
    publish(
        alice, ended(10), ended(20, user="bob"), ended(30, user="bob", account="def-kim-sub"),
        ended(40, user="bob", account="other"),
    )  # fmt: skip
    return alice


async def test_a_member_adds_up_the_own_account_as_its_row_alone(alice: Service, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "aggregator.audit")
    found = await groups(alice, "group_by=account&account=def-kim&fields=account,jobs&sort=-jobs")
    assert found == [{"account": "def-kim", "jobs": 2}]
    assert alice.history.uids_asked == [
        (frozenset({"alice"}), frozenset({"def-kim"})), (frozenset(), frozenset({"def-kim"})),
    ]  # fmt: skip
    assert "bob" not in caplog.text


@pytest.mark.parametrize(
    "query",
    [
        "group_by=account",
        "group_by=account,user&account=def-kim",
        "group_by=account,state&account=def-kim",
        "group_by=state&account=def-kim",
        "group_by=account&account=def-kim&user=alice,bob",
        "group_by=account&account=def-kim&id=10,20",
        "group_by=account&account=def-kim&min_elapsed_seconds=0",
        "group_by=account&account=def-kim&max_elapsed_seconds=99999",
        "group_by=account&account=def-kim&partition=cpu",
        "group_by=account&account=def-kim&with_children=true",
        "group_by=account&account=def-kim,def-kim-sub",
        "group_by=account&account=def-kim&account=other",
    ],
)
async def test_whatever_tells_more_than_the_accounts_sum_is_of_the_own_runs(alice: Service, query: str) -> None:
    assert [group["jobs"] for group in await groups(alice, query)] == [1]


@pytest.mark.parametrize("account", ["def-kim-sub", "other", "nowhere"])
async def test_the_sums_of_other_accounts_are_as_those_of_accounts_that_there_are_not(
    alice: Service, account: str
) -> None:
    data = await alice.data(f"{HISTORY}&group_by=account&account={account}")
    assert (data["jobs"], data["total"], data["examined"]) == ([], 0, 1), "the own run alone was looked at"


async def test_a_coordinator_adds_up_the_accounts_below_by_anything(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.yml"
    token = make_token(file, "kim00000", "read:account:def-kim")
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    idle_service.client = await aiohttp_client(app, headers=bearer(token))
    publish(idle_service, ended(10), ended(30, user="bob", account="def-kim-sub"), ended(40, account="other"))
    found = await groups(idle_service, "group_by=user,account&fields=user,account")
    assert [tuple(row.values()) for row in found] == [("alice", "def-kim"), ("bob", "def-kim-sub")]


@st.composite
def sites(draw: st.DrawFn) -> list[Run]:
    """Draw ended runs as slurmdbd may have them where its server is not strict: times in any order, nothing held."""
    moments = st.none() | st.integers(0, 9000).map(lambda ago: NOW - ago)
    return [
        ended(
            number, user=draw(st.sampled_from(["ann", 'b"e\n🚀', "'"])),
            partition=draw(st.sampled_from(["", "p,q", "p"])),
            state=draw(st.sampled_from([JobState.COMPLETED, JobState.TIMEOUT, JobState.PENDING])),
            end=NOW - draw(st.integers(1, 4)), eligible=draw(moments), start=draw(moments), submit=draw(moments) or 0.0,
            job_start=draw(moments), time_limit_seconds=draw(st.sampled_from([None, 60.0, 1e12])),
            allocated=Allocation(draw(st.integers(0, 2**31)), draw(st.sampled_from([None, 2**50])), 1),
            suspended_seconds=float(draw(st.integers(0, 2**32))),
        )
        for number in range(draw(st.integers(0, 9)))
    ]  # fmt: skip


RATIOS = st.none() | st.floats(0, 10)
KEPT = st.dictionaries(
    st.integers(0, 9), st.fixed_dictionaries({"cpu_efficiency_ratio": RATIOS, "wasted_cpu_seconds": RATIOS})
)


async def all_pages(service: Service, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        data = await service.data(f"{JOBS}/history?{query}&limit=2{cursor}")
        found += data["jobs"]
        if data["next_cursor"] is None:
            return found
        cursor = f"&cursor={data['next_cursor']}"


@given(sites(), st.sampled_from(["user", "partition", "user,partition,state", "day"]), KEPT)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_groups_are_what_a_plain_reading_of_all_pages_adds_up_to(
    service: Service, runs: list[Run], by: str, kept: dict[int, dict[str, float | None]]
) -> None:
    publish(service, *runs)
    service.kept.kept = {run.run_id: kept[run.job_id] for run in runs if run.job_id in kept}
    times = f"start={next(STARTS)}"
    rows = await all_pages(service, times)
    assert sorted(row["job_id"] for row in rows) == [run.job_id for run in runs], "all of them, each once"
    keys = by.split(",")
    expected: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        expected[tuple(row[key] for key in keys)].append(row)
    found = {tuple(group[key] for key in keys): group for group in await all_pages(service, f"{times}&group_by={by}")}
    assert found.keys() == expected.keys()
    for key, group in found.items():
        check(group, expected[key])


def check(group: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Hold a group against its rows."""
    assert group["jobs"] == len(rows)
    assert group["timeouts_ratio"] == pytest.approx(sum(row["state"] == "timeout" for row in rows) / len(rows))
    for name in ("allocated_cpus", "wasted_cpu_seconds", "energy_joules_total"):
        known = [row[name] for row in rows if row[name] is not None]
        assert group[name] == (pytest.approx(sum(known)) if known else None), name
    for name, percent in (("wait_seconds", 99), ("elapsed_seconds", 50), ("time_limit_used_ratio", 90)):
        started = [row[name] for row in rows if row["start_time"] and row[name] is not None]
        rank = math.ceil(percent * len(started) / 100)
        assert group[f"{name}_p{percent}"] == (sorted(started)[rank - 1] if started else None), name
    held = [(row["elapsed_seconds"] * row["granted_cpus"], row["cpu_efficiency_ratio"]) for row in rows]
    seen = sum(amount for amount, ratio in held if ratio is not None)
    used = sum(amount * ratio for amount, ratio in held if ratio is not None)
    assert group["cpu_efficiency_ratio"] == (pytest.approx(used / seen) if seen else None)
    every = sum(amount for amount, _ in held)
    assert group["cpu_efficiency_coverage_ratio"] == (pytest.approx(seen / every) if every else None)
