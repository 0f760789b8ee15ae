"""Alertmanager's webhook: what it tells of waste is kept once and shown to whom it may be, the rest is passed over."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api import alerts as module
from aggregator.api.errors import BadData
from aggregator.api.tokens.store import TokenStore
from aggregator.api.webhook import Webhook, read_webhook
from aggregator.config import Bounds
from aggregator.model.accounting import JobState

from .builders import JOBS, NOW, frames_of, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

ALERTS = "/api/v1/alerts"
LIST = "/api/v1/clusters/narval/alerts"
HOSTILE = 'o"\n\\{{.}}</script>\N{ROCKET}\u202e\0'
NEVER = "0001-01-01T00:00:00Z"


def alert(fingerprint: str = "c6eadffa33fcdf37", ends: str = NEVER, **labels: str) -> dict[str, Any]:
    """Make an alert of rules/alerts on a job, as Alertmanager sends it, that fires since 22:10:00 UTC."""
    plain = {"alertname": "HpcJobWaste", "team": "user-support", "cluster": "narval", "slurmjobid": "101",
             "user": "alice", "account": "def-kim", "reason": "cpu_low", "severity": "warning"}  # fmt: skip
    return {
        "status": "firing" if ends == NEVER else "resolved", "labels": plain | labels,
        "annotations": {"description": HOSTILE}, "startsAt": "2023-11-14T23:10:00.739266876+01:00", "endsAt": ends,
        "generatorURL": "http://prometheus:9090/graph", "fingerprint": fingerprint,
    }  # fmt: skip


STARTED = NOW - 199.261
MANY = alert("b1", alertname="HpcUserWasteInBulk", user="bob", severity="critical")
for label in ("slurmjobid", "account", "reason"):
    del MANY["labels"][label]
OTHERS = (
    alert("d1", alertname="HpcAggregatorDown", user="", slurmjobid=""), alert("d2", cluster="beluga"),
    alert("d3", slurmjobid="_other", user="_other"), alert("d4", slurmjobid="0"), alert("d5", slurmjobid="²"),
    alert("d6", slurmjobid="4294967296"), alert("d7", user=" "), alert("d8", reason=""), alert("d9", account=""),
    alert("da", alertname="HpcUserWasteInBulk", user=""), alert("db", cluster=""),
    {**alert("dc"), "labels": {"alertname": "HpcJobWaste"}}, {**alert("dd"), "labels": {}},
)  # fmt: skip


def payload(*alerts: Any, **changes: Any) -> bytes:
    plain = {
        "receiver": "user-support", "status": "firing", "alerts": alerts, "groupLabels": {}, "commonLabels": {},
        "commonAnnotations": {}, "externalURL": "http://alertmanager:9093", "version": "4",
        "groupKey": '{}/{team="user-support"}:{cluster="narval", user="alice"}', "truncatedAlerts": 0, "new in 2030": 1,
    }  # fmt: skip
    return json.dumps(plain | changes).encode()


async def post(service: Service, *alerts: Any, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    assert service.client is not None
    given = {"Content-Type": "application/json", **headers}
    answer = await service.client.post(ALERTS, data=io.BytesIO(body or payload(*alerts)), headers=given)
    return answer.status, await answer.json()


async def told(service: Service, *alerts: Any) -> Any:
    status, body = await post(service, *alerts)
    assert status == 200, body
    return body["data"]


@pytest.fixture(autouse=True)
def _configured(idle_service: Service) -> None:
    publish_jobs(idle_service.store, make_job(), members={"alice": {"def-kim"}}, tree={"def-kim": "", "def-lee": ""})


async def test_what_is_told_of_waste_is_kept_and_shown(service: Service) -> None:
    assert await told(service, alert()) == {"new": 1, "known": 0, "ignored": 0, "truncated": 0}
    (row,) = (await service.data(LIST))["alerts"]
    assert row == {
        "job_id": 101, "user": "alice", "account": "def-kim", "reason": "cpu_low", "severity": "warning",
        "start_timestamp_seconds": STARTED, "first_notified_timestamp_seconds": NOW,
        "last_notified_timestamp_seconds": NOW, "resolved_timestamp_seconds": None, "fingerprint": "c6eadffa33fcdf37",
        "start_time": "2023-11-14T22:10:00.739Z", "first_notified_time": "2023-11-14T22:13:20Z",
        "last_notified_time": "2023-11-14T22:13:20Z", "resolved_time": None,
    }  # fmt: skip


async def test_a_retry_and_a_pair_of_alertmanagers_count_once_and_the_end_is_kept(service: Service) -> None:
    for _ in range(3):
        await told(service, alert(), MANY)
    service.now += 200
    assert await told(service, alert(ends="2023-11-14T22:15:00Z"), MANY) == {
        "new": 0, "known": 2, "ignored": 0, "truncated": 0,
    }  # fmt: skip
    first, second = (await service.data(f"{LIST}?sort=user"))["alerts"]
    assert (first["resolved_time"], first["first_notified_time"], first["last_notified_time"]) == (
        "2023-11-14T22:15:00Z", "2023-11-14T22:13:20Z", "2023-11-14T22:16:40Z",
    )  # fmt: skip
    assert (second["user"], second["resolved_time"]) == ("bob", None)
    assert service.counted == {"new": 2, "known": 6, "ignored": 0, "truncated": 0}


async def test_an_end_without_a_time_is_now(service: Service) -> None:
    await told(service, {**alert(), "status": "resolved"})
    assert (await service.data(LIST))["alerts"][0]["resolved_timestamp_seconds"] == NOW


async def test_an_alert_on_many_jobs_has_no_job_no_account_and_no_reason(service: Service) -> None:
    await told(service, MANY)
    (row,) = (await service.data(f"{LIST}?user=bob&severity=critical"))["alerts"]
    assert [row[name] for name in ("job_id", "account", "reason")] == [None, None, None]


async def test_what_is_not_about_waste_is_counted_and_no_error(service: Service) -> None:
    assert await told(service, *OTHERS, alert()) == {"new": 1, "known": 0, "ignored": len(OTHERS), "truncated": 0}
    assert (await told(service))["ignored"] == 0
    status, body = await post(service, body=payload(alert(), truncatedAlerts=7))
    assert (status, body["data"]["truncated"]) == (200, 7)
    assert service.counted == {"new": 1, "known": 1, "ignored": len(OTHERS), "truncated": 7}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "the body is not JSON: "),
        (b"\xff", "the body is not JSON: "),
        (b"[" * 100_000, "the body is not JSON: "),
        (b"[]", 'version: must be "4", as Alertmanager sends it, got None'),
        (payload(version="3"), 'version: must be "4", as Alertmanager sends it, got 3'),
        (payload(version=4), 'version: must be "4", as Alertmanager sends it, got 4'),
        (payload(version=["4"] * 99), "version: must be"),
        (payload(alerts=None), "alerts: expected `array`, got `null`"),
        (b'{"version": "4"}', "the payload missing required field `alerts`"),
        (payload(alerts=[1]), "alerts[0]: expected `object`, got `int`"),
        (payload({**alert(), "status": "pending"}), "alerts[0].status: invalid enum value 'pending'"),
        (payload({**alert(), "labels": {"user": 1}}), "alerts[0].labels[...]: expected `str`, got `int`"),
        (payload({**alert(), "fingerprint": "../x"}), "alerts[0].fingerprint: expected `str` matching regex"),
        (payload(truncatedAlerts=-1), "truncatedAlerts: expected `int` >= 0"),
        (payload(alert(), {**alert(), "startsAt": NEVER}), "alerts[1].startsAt: must be a time of RFC 3339, got '0001"),
        (payload({**alert(), "startsAt": "2023-11-14"}), "alerts[0].startsAt: must be a time of RFC 3339, got"),
    ],
    ids=lambda value: str(value)[:24].encode("ascii", "replace").decode(),
)
async def test_what_is_no_payload_of_version_4_is_refused_by_its_field(
    service: Service, body: bytes, error: str
) -> None:
    status, answer = await post(service, body=body)
    assert (status, answer["errorType"]) == (400, "bad_data")
    assert answer["error"].startswith(error)
    assert (await service.data(LIST))["total"] == 0


async def test_hostile_names_are_kept_and_do_not_hide_the_others(service: Service) -> None:
    surrogate = alert("a1", user=HOSTILE, reason="\ud800", severity="x" * 5000, account="a ")
    assert (await told(service, surrogate, alert()))["new"] == 2
    (row,) = (await service.data(f"{LIST}?max_job_id=101&severity={'x' * 255}"))["alerts"]
    assert [row[name] for name in ("user", "reason", "account")] == [HOSTILE.replace("\0", "?"), "?", "a"]


async def test_ten_thousand_alerts_in_five_megabytes(service: Service) -> None:
    many = [
        {**alert(f"{number:x}", slurmjobid=str(number + 1)), "annotations": {"x": "y" * 200}}
        for number in range(10_000)
    ]
    body = payload(*many)
    assert 5e6 < len(body) < 16 * 2**20
    for new in (10_000, 0):
        status, answer = await post(service, body=body)
        assert (status, answer["data"]["new"]) == (200, new)
    assert (await service.data(f"{LIST}?group_by=user"))["alerts"] == [{"user": "alice", "alerts": 10_000}]


async def test_a_payload_over_the_limit_and_another_kind_are_refused(service: Service) -> None:
    assert (await post(service, body=payload(x="y" * 17 * 2**20)))[0] == 413
    assert (await post(service, alert(), **{"Content-Type": "text/plain"}))[0] == 415
    assert service.counted == {}


async def test_before_anything_is_configured_alertmanager_tries_again(service: Service) -> None:
    service.store.keep_only([], [])
    assert (await post(service, alert()))[0] == 503


async def test_an_alertmanager_that_sends_too_much_is_asked_to_send_it_again(
    idle_service: Service, aiohttp_client: Any
) -> None:
    """It gives up what is answered with 429."""
    app = idle_service.app(bounds=Bounds.model_construct(requests_per_second=0.001, burst=2))
    idle_service.client = client = await aiohttp_client(app)
    answers = [await client.post(ALERTS, json=json.loads(payload(alert()))) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 503]
    assert "Retry-After" in answers[-1].headers


async def test_while_the_state_is_down_nothing_is_lost(
    idle_service: Service, aiohttp_client: Any, tmp_path: Path
) -> None:
    (tmp_path / "state.db").mkdir()
    idle_service.client = await aiohttp_client(idle_service.app())
    answer = await idle_service.client.post(ALERTS, json=json.loads(payload(alert(), *OTHERS)))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert (await answer.json())["error"].startswith("state.url: ")
    assert idle_service.counted == {"failed": 1}
    assert (await idle_service.failure(LIST))[:2] == (503, "unavailable")
    body = await (await idle_service.get(f"{JOBS}/101")).json()
    assert body["data"]["runs"][0]["alerts"] is None
    assert any(warning.startswith("the alerts on the runs are missing: state.url: ") for warning in body["warnings"])

    (tmp_path / "state.db").rmdir()
    assert (await told(idle_service, alert()))["new"] == 1
    assert len((await idle_service.data(f"{JOBS}/101"))["runs"][0]["alerts"]) == 1


# -- the list


async def test_repeat_offenders_are_a_group(service: Service) -> None:
    await told(service, alert("a1"), alert("a2", slurmjobid="102"), alert("a3", reason="gpu_unused"), MANY)
    rows = await service.data(f"{LIST}?group_by=user&sort=-alerts")
    assert rows == {"alerts": [{"user": "alice", "alerts": 3}, {"user": "bob", "alerts": 1}],
                    "next_cursor": None, "total": 2}  # fmt: skip
    assert (await service.data(f"{LIST}?reason=cpu_low&job_id=102,7"))["total"] == 1
    assert (await service.data(f"{LIST}?account=def-kim&with_children=true&group_by=account"))["total"] == 1
    first = await service.data(f"{LIST}?limit=3&fields=fingerprint")
    last = await service.data(f"{LIST}?limit=3&fields=fingerprint&cursor={first['next_cursor']}")
    assert [row["fingerprint"] for page in (first, last) for row in page["alerts"]] == ["b1", "a3", "a2", "a1"]
    assert (await (await service.get(f"{LIST}?format=csv&fields=user,reason&job_id=102")).text()) == (
        "user,reason\nalice,cpu_low\n"
    )


@pytest.mark.parametrize(
    "query", ["job_id=x", "job_id=99999999999999999999999", "usr=alice", "min_user=1", "sort=none"]
)
async def test_a_mistake_in_the_list_is_told(service: Service, query: str) -> None:
    assert (await service.failure(f"{LIST}?{query}"))[:2] == (400, "bad_data")


async def test_the_list_is_made_anew_each_time(service: Service) -> None:
    await told(service, alert())
    etag = (await service.get(LIST)).headers["ETag"]
    assert (await service.get(LIST, headers={"If-None-Match": etag})).status == 304
    await told(service, alert("a2"))
    assert (await service.data(LIST, headers={"If-None-Match": etag}))["total"] == 2


async def test_a_list_that_looks_at_the_newest_only_says_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    await told(service, alert("a1"), alert("a2"), alert("a3", user="bob"))
    body = await (await service.get(LIST)).json()
    assert (body["data"]["total"], body["warnings"]) == (2, ["only the newest 2 alerts were looked at"])
    assert "warnings" not in await (await service.get(f"{LIST}?user=bob")).json()


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> tuple[Service, dict[str, Any]]:
    """The service and what each identity shows."""
    publish_jobs(
        idle_service.store, make_job(), make_job(102, user="bob", account="def-lee"),
        members={"alice": {"def-kim"}, "bob": {"def-lee"}}, tree={"def-kim": "", "def-lee": "", "def-lee-b": "def-lee"},
        frames=frames_of(coordinators=[{"account": "def-lee", "user": "pi"}]),
    )  # fmt: skip
    file = tmp_path / "tokens.yml"
    shown = {
        name: bearer(make_token(file, f"{name}000000"[:8], scope, user=name if scope == "read:own" else None))
        for name, scope in (("alice", "read:own"), ("bob", "read:own"), ("pi", "read:own"), ("staff", "read:all"),
                            ("alerts", "alerts"), ("lee", "read:account:def-lee"), ("metrics", "metrics"),
                            ("agent", "ingest:narval"))
    }  # fmt: skip
    idle_service.client = await aiohttp_client(idle_service.app(open_areas=frozenset(), tokens=TokenStore(file)))
    return idle_service, shown


async def test_only_who_holds_the_scope_delivers_and_reads_nothing_by_it(guarded: Any) -> None:
    service, shown = guarded
    for name, headers in {**shown, "nobody": {}}.items():
        status, body = await post(service, alert(), **headers)
        assert status == {"alerts": 200, "nobody": 401}.get(name, 403), name
        assert status != 403 or body["error"] == "this token lacks the scope alerts"
    assert (await service.get(LIST, headers=shown["alerts"])).status == 403
    assert (await service.get(LIST, headers=shown["staff"])).status == 200


async def test_each_sees_the_alerts_on_the_jobs_that_are_theirs_to_see(guarded: Any) -> None:
    service, shown = guarded
    lees = (alert("a2", user="bob", account="def-lee", slurmjobid="102"),
            alert("a3", user="carol", account="def-lee-b", slurmjobid="103"))  # fmt: skip
    await post(service, alert("a1"), *lees, MANY, **shown["alerts"])
    seen = {
        name: sorted(row["fingerprint"] for row in (await service.data(LIST, headers=shown[name]))["alerts"])
        for name in ("alice", "bob", "pi", "lee", "staff")
    }
    assert seen == {
        "alice": ["a1"], "bob": ["a2", "b1"], "pi": ["a2", "a3"], "lee": ["a2", "a3"],
        "staff": ["a1", "a2", "a3", "b1"],
    }  # fmt: skip
    other = await service.data(f"{LIST}?user=bob&group_by=user", headers=shown["alice"])
    assert other == await service.data(f"{LIST}?user=nobody&group_by=user", headers=shown["alice"])
    assert (await service.get(f"{JOBS}/102", headers=shown["alice"])).status == 404
    (run,) = (await service.data(f"{JOBS}/102", headers=shown["pi"]))["runs"]
    assert [each["reason"] for each in run["alerts"]] == ["cpu_low"]


# -- the job


async def test_a_job_has_its_alerts(service: Service) -> None:
    await told(service, alert(severity="critical"), alert("a2", slurmjobid="102"), alert("a3", user="mallory"), MANY)
    (run,) = (await service.data(f"{JOBS}/101"))["runs"]
    assert run["alerts"] == [{
        "reason": "cpu_low", "severity": "critical", "first_notified_time": "2023-11-14T22:13:20Z",
        "first_notified_timestamp_seconds": NOW, "last_notified_time": "2023-11-14T22:13:20Z",
        "last_notified_timestamp_seconds": NOW, "resolved_time": None, "resolved_timestamp_seconds": None,
    }]  # fmt: skip


async def test_a_job_has_an_alert_as_soon_as_it_is_told(service: Service) -> None:
    """The answer that is remembered is from before."""
    path = f"{LIST.removesuffix('/alerts')}/jobs/101"
    assert (await service.data(path))["runs"][0]["alerts"] == []
    await told(service, alert())
    assert len((await service.data(path))["runs"][0]["alerts"]) == 1


async def test_each_run_of_a_requeued_job_has_its_own(service: Service) -> None:
    service.reader.runs = (
        make_run(run_id=1, start=NOW - 9000, submit=NOW - 9100, end=NOW - 5000, state=JobState.REQUEUED),
    )
    before = {**alert("a1"), "startsAt": "2023-11-14T20:00:00Z"}
    await told(service, before, alert("a2", reason="gpu_unused"), {**before, "startsAt": "2020-01-01T00:00:00Z"})
    runs = (await service.data(f"{JOBS}/101"))["runs"]
    assert [[each["reason"] for each in run["alerts"]] for run in runs] == [["cpu_low"], ["gpu_unused"]]


async def test_of_an_array_the_newest_runs_have_theirs_and_a_pending_one_has_none(service: Service) -> None:
    publish_jobs(service.store, *(
        make_job(n, array_job_id=900, array_task_id=n, submit=NOW - 5000 + n, start=None if n == 8 else NOW - 3600)
        for n in range(1, 9)
    ))  # fmt: skip
    await told(service, *(alert(f"{n}", slurmjobid=f"{n}") for n in range(1, 9)))
    runs = (await service.data(f"{JOBS}/900"))["runs"]
    assert [run["alerts"] and len(run["alerts"]) for run in runs] == [None] * 4 + [1] * 3 + [[]]


# -- any payload

_TEXT = st.text(st.characters(codec=None), max_size=9)
_LABELS = st.dictionaries(st.sampled_from(["alertname", "user", "account", "cluster", "slurmjobid", "reason"]), _TEXT)
_ANY = st.recursive(st.none() | st.integers() | _TEXT, lambda each: st.lists(each) | st.dictionaries(_TEXT, each))


@given(st.lists(_LABELS | st.just(alert()["labels"]), max_size=5), st.integers(0, 9))
def test_every_alert_is_kept_or_ignored(labels: list[dict[str, str]], truncated: int) -> None:
    alerts = [{**alert(f"{number}"), "labels": each} for number, each in enumerate(labels)]
    found = read_webhook(payload(*alerts, truncatedAlerts=truncated), {"narval"}, NOW)
    assert (len(found.alerts) + found.ignored, found.truncated) == (len(labels), truncated)
    assert all(each.user and each.cluster == "narval" for each in found.alerts)
    assert len(found.alerts) >= labels.count(alert()["labels"])


@given(st.dictionaries(st.sampled_from(["version", "alerts", "truncatedAlerts"]), _ANY), st.booleans())
def test_any_json_is_understood_or_refused_in_words(body: dict[str, Any], is_version_4: bool) -> None:
    try:
        found = read_webhook(json.dumps(body | ({"version": "4"} if is_version_4 else {})).encode(), set(), NOW)
    except BadData as error:
        assert len(str(error)) < 300
    else:
        assert isinstance(found, Webhook)
