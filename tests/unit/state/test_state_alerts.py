"""Alerts in the state: each once, whoever tells it how often, and counts that never go back."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from aggregator.config import State
from aggregator.model.alert import WasteAlert
from aggregator.state import StateError, StateStore
from aggregator.state.alerts import MAX_REASONS, OTHER_REASONS
from aggregator.state.tables import ALERT_COUNT
from tests.unit.state.builders import sqlite

NOW = 1_700_000_000.0


def alert(fingerprint: str = "a1", start: float = NOW - 600.125, **changes: Any) -> WasteAlert:
    plain = {"cluster": "narval", "resolved": None, "user": "alice", "account": "def-a", "job_id": 7,
             "reason": "cpu_low", "severity": "warning"}  # fmt: skip
    return WasteAlert(fingerprint=fingerprint, start=start, **{**plain, **changes})


async def counts(store: StateStore, cluster: str = "narval") -> dict[tuple[str, str, str], int]:
    found = (await store.alerts.counts(cluster, None)).counts
    return {(user, account, reason): count for user, account, reason, count, _ in found.iter_rows()}


async def shown(store: StateStore, **wanted: Sequence[Any]) -> list[dict[str, Any]]:
    return (await store.alerts.newest("narval", 1000, wanted)).to_dicts()


async def test_an_alert_is_kept_as_it_was_told(store: StateStore) -> None:
    assert await store.alerts.save([alert(account="def \N{ROCKET}", user='o"\n\\')], NOW) == 1
    assert await shown(store) == [{
        "job_id": 7, "user": 'o"\n\\', "account": "def \N{ROCKET}", "reason": "cpu_low", "severity": "warning",
        "start_timestamp_seconds": NOW - 600.125, "first_notified_timestamp_seconds": NOW,
        "last_notified_timestamp_seconds": NOW, "resolved_timestamp_seconds": None, "fingerprint": "a1",
    }]  # fmt: skip
    assert await counts(store) == {('o"\n\\', "def \N{ROCKET}", "cpu_low"): 1}
    assert (await counts(store, "beluga"), (await store.alerts.newest("beluga", 9, {})).height) == ({}, 0)


async def test_the_same_told_again_counts_once_and_its_end_is_kept(store: StateStore) -> None:
    assert await store.alerts.save([alert(), alert()], NOW) == 1
    assert await store.alerts.save([alert(resolved=NOW + 50)], NOW + 60) == 0
    (row,) = await shown(store)
    times = [row[f"{each}_timestamp_seconds"] for each in ("first_notified", "last_notified", "resolved")]
    assert times == [NOW, NOW + 60, NOW + 50]
    assert await counts(store) == {("alice", "def-a", "cpu_low"): 1}


async def test_an_alert_that_fires_again_has_not_ended_and_another_firing_is_another_alert(store: StateStore) -> None:
    await store.alerts.save([alert(resolved=NOW)], NOW)
    await store.alerts.save([alert()], NOW + 1)
    assert await store.alerts.save([alert(start=NOW), alert("b2", cluster="beluga")], NOW + 2) == 2
    assert [row["resolved_timestamp_seconds"] for row in await shown(store)] == [None, None]
    assert await counts(store) == {("alice", "def-a", "cpu_low"): 2}


async def test_a_clock_that_was_ahead_does_not_make_an_alert_older(store: StateStore) -> None:
    for now in (NOW + 9e8, NOW):
        await store.alerts.save([alert()], now)
    assert (await shown(store))[0]["last_notified_timestamp_seconds"] == NOW + 9e8
    assert (await store.alerts.counts("narval", None)).counts["until"].to_list() == [NOW + 9e8]


async def test_alerts_are_found_by_job_user_and_what_may_be_seen(store: StateStore) -> None:
    many = alert("c3", user="bob", account=None, job_id=None, reason=None)
    await store.alerts.save([alert(), alert("b2", user="bob", account="def-b", job_id=8), many], NOW)

    async def found(seen: Any, **wanted: Sequence[Any]) -> list[str]:
        return (await store.alerts.newest("narval", 9, wanted, seen))["fingerprint"].sort().to_list()

    assert await found(None, job_id=[7, 9]) == ["a1"]
    assert await found(None, user=["bob"]) == ["b2", "c3"]
    assert await found(("bob", frozenset())) == ["b2", "c3"]
    assert await found((None, frozenset({"def-b"}))) == ["b2"]
    assert await found(("alice", frozenset({"def-b"})), user=["bob"]) == ["b2"]
    assert await found((None, frozenset())) == []


async def test_the_newest_are_found_first_and_no_more_than_are_asked_for(store: StateStore) -> None:
    for number in range(5):
        await store.alerts.save([alert(f"a{number}")], NOW + number)
    assert (await store.alerts.newest("narval", 2, {}))["fingerprint"].to_list() == ["a4", "a3"]


async def test_ten_thousand_alerts_at_once(store: StateStore) -> None:
    told = [alert(f"{number:x}", user=f"u{number % 700}") for number in range(10_000)]
    assert await store.alerts.save(told, NOW) == 10_000
    assert await store.alerts.save(told, NOW + 1) == 0
    assert sum((await counts(store)).values()) == 10_000


async def test_counts_outlive_the_alerts(store: StateStore) -> None:
    await store.alerts.save([alert()], NOW)
    await store.alerts.save([alert("b2")], NOW + 100)
    assert await store.prune(0.0, 0.0, NOW + 50) == 1
    assert [row["fingerprint"] for row in await shown(store)] == ["b2"]
    assert await counts(store) == {("alice", "def-a", "cpu_low"): 2}


async def test_counts_are_read_when_they_have_changed(store: StateStore) -> None:
    none = await store.alerts.counts("narval", None)
    assert await store.alerts.counts("narval", none) is none
    await store.alerts.save([alert()], NOW)
    first = await store.alerts.counts("narval", none)
    assert await store.alerts.counts("narval", first) is first
    await store.alerts.save([alert("b2")], NOW)
    second = await store.alerts.counts("narval", first)
    assert [each.counts["count"].to_list() for each in (none, first, second)] == [[], [1], [2]]


async def test_two_services_that_are_told_the_same_at_once_count_it_once(store: StateStore, state: State) -> None:
    """An Alertmanager that is told to both, or a pair of them."""
    other = StateStore(state)
    told = [alert(f"{number:x}", user=f"u{number % 7}") for number in range(200)]
    mixed = [told[: 50 + number] if number % 2 else told[number:][::-1] for number in range(8)]
    new = await asyncio.gather(
        *((store, other)[number % 2].alerts.save(part, NOW) for number, part in enumerate(mixed))
    )
    await other.close()
    assert sum(new) == 200 == len(await shown(store))
    assert sum((await counts(store)).values()) == 200


async def test_reasons_without_end_are_counted_together(store: StateStore) -> None:
    told = [alert(f"{number:x}", reason=f"{number}".zfill(250) + "\N{ROCKET}") for number in range(3 * MAX_REASONS)]
    for begin in (0, 70):
        await store.alerts.save(told[begin:], NOW)
    found = await counts(store)
    assert (len(found), sum(found.values())) == (MAX_REASONS + 1, 3 * MAX_REASONS)
    assert found["alice", "def-a", OTHER_REASONS] == 2 * MAX_REASONS


async def test_counts_that_cannot_be_read_do_not_begin_anew(store: StateStore) -> None:
    await store.alerts.save([alert()], NOW)
    async with store.alerts._database.transaction() as connection:
        await connection.execute(update(ALERT_COUNT).values(counts="{"))
    with pytest.raises(StateError, match="the counts of alerts"):
        await store.alerts.save([alert("b2")], NOW)
    with pytest.raises(StateError, match="the counts of alerts"):
        await store.alerts.counts("narval", None)
    assert [row["fingerprint"] for row in await shown(store)] == ["a1"], "all or nothing"


_TOLD = st.builds(
    alert, st.sampled_from("abc"), st.sampled_from([NOW, NOW + 0.001]), user=st.sampled_from(["u", "U"]),
    reason=st.sampled_from(["r", "s", None]), cluster=st.sampled_from(["narval", "beluga"]),
    resolved=st.sampled_from([None, NOW + 9]),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(_TOLD, max_size=6), max_size=5))
def test_the_counts_are_those_of_the_alerts_whatever_is_told_in_whatever_order(told: list[list[WasteAlert]]) -> None:
    async def tell(folder: str) -> None:
        store = StateStore(sqlite(Path(folder) / "state.db"))
        new = sum([await store.alerts.save(part, NOW + number) for number, part in enumerate(told)])
        keys = {(each.cluster, each.fingerprint, each.start) for part in told for each in part}
        assert new == len(keys)
        for cluster in ("narval", "beluga"):
            rows = (await store.alerts.newest(cluster, 99, {})).iter_rows(named=True)
            kept = Counter((row["user"], row["account"] or "", row["reason"] or "") for row in rows)
            assert kept.total() == sum(key[0] == cluster for key in keys)
            assert await counts(store, cluster) == dict(kept)
        await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(tell(folder))
