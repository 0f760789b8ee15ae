"""The script of a job: whose it is, which one it is, and how it looks."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from aggregator.api.access import HEALTH
from aggregator.api.tokens.store import TokenStore
from aggregator.model.script import RecordedScript, ScriptRecord

from .builders import JOBS, NOW, make_job, make_run, publish_jobs
from .conftest import Service
from .tokens import bearer, make_token

SUBMIT = NOW - 4000
CONTENT = '#!/bin/sh\necho "é 🐍"\n'.encode()


async def deliver(service: Service, job_id: int, written_at: float = SUBMIT, content: bytes = CONTENT) -> None:
    digest = hashlib.sha256(content).hexdigest()
    record = ScriptRecord(job_id=job_id, written_at=written_at, sha256=digest, size=900, truncated=True, redactions=2)
    await service.state.scripts.save("narval", [(record, content)], NOW)


async def script(service: Service, path: str = "101/script") -> Any:
    return (await service.data(f"{JOBS}/{path}"))["script"]


async def test_a_delivered_script_comes_with_what_the_agent_knows(service: Service) -> None:
    publish_jobs(service.store, make_job(101))
    await deliver(service, 101)
    assert await service.data(f"{JOBS}/101/script") == {
        "job_id": 101,
        "run_id": "9001",
        "script": CONTENT.decode(),
        "encoding": "utf-8",
        "size": 900,
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "truncated": True,
        "redactions": 2,
        "source": "agent",
        "submit_time": "2023-11-14T21:06:40Z",
        "submit_timestamp_seconds": SUBMIT,
        "written_time": "2023-11-14T21:06:40Z",
        "written_timestamp_seconds": SUBMIT,
    }
    assert service.reader.scripts_read == [], "the database is asked only when there is no other"


async def test_without_a_delivered_one_the_script_is_slurmdbds(service: Service) -> None:
    service.reader.runs = (make_run(101, end=NOW - 50),)
    service.reader.scripts = {9001: RecordedScript(CONTENT)}
    publish_jobs(service.store)
    data = await service.data(f"{JOBS}/101/script")
    assert (data["script"], data["source"], data["size"]) == (CONTENT.decode(), "slurmdbd", len(CONTENT))
    assert (data["redactions"], data["written_time"], data["truncated"]) == (None, None, False)
    await service.data(f"{JOBS}/101/script")
    assert service.reader.scripts_read == [9001], "read once, then cached for a moment"


async def test_a_script_that_slurmdbd_has_not_got_yet_is_asked_for_again(service: Service) -> None:
    publish_jobs(service.store, make_job(101))
    service.reader.scripts = {9001: RecordedScript(missing="slurmdbd has not got the script yet")}
    text = "job 101: no script is known: slurmdbd has not got the script yet"
    assert await service.failure(f"{JOBS}/101/script") == (404, "not_found", text)
    service.reader.scripts = {9001: RecordedScript(CONTENT)}
    assert await script(service) == CONTENT.decode()


async def test_a_script_that_is_not_utf8_keeps_every_byte(service: Service) -> None:
    publish_jobs(service.store, make_job(101))
    content = b"caf\xe9\x00" + bytes(range(256))
    await deliver(service, 101, content=content)
    data = await service.data(f"{JOBS}/101/script")
    assert data["encoding"] == "base64"
    assert base64.b64decode(data["script"]) == content
    plain = await service.get(f"{JOBS}/101/script", headers={"Accept": "text/plain"})
    assert await plain.read() == content
    assert plain.headers["Content-Type"] == "text/plain"


async def test_as_plain_text_nothing_is_run_or_guessed(service: Service) -> None:
    publish_jobs(service.store, make_job(101))
    await deliver(service, 101, content=b"<script>alert(1)</script>")
    plain = await service.get(f"{JOBS}/101/script", headers={"Accept": "text/plain;q=0.9, */*;q=0.1"})
    assert (plain.headers["Content-Type"], plain.headers["X-Content-Type-Options"]) == (
        "text/plain; charset=utf-8", "nosniff",
    )  # fmt: skip
    browser = await service.get(f"{JOBS}/101/script", headers={"Accept": "text/html,*/*"})
    assert browser.headers["Content-Type"].startswith("application/json")


async def test_tasks_have_the_arrays_script(service: Service) -> None:
    publish_jobs(
        service.store,
        make_job(123, run_id=1, array_job_id=123, array_task_id=9),
        make_job(130, run_id=2, array_job_id=123, array_task_id=4),
    )
    await deliver(service, 123)
    await deliver(service, 130, content=b"of another job")
    for path in ("123_4/script", "123_9/script", "123/script", "130/script"):
        assert await script(service, path) == CONTENT.decode()


async def test_a_component_has_its_own_script_else_the_leaders(service: Service) -> None:
    publish_jobs(
        service.store,
        *(make_job(201 + n, run_id=n, het_job_id=201, het_offset=n) for n in range(3)),
    )
    await deliver(service, 201, content=b"leader")
    await deliver(service, 202, content=b"own")
    assert [await script(service, f"201+{n}/script") for n in range(3)] == ["leader", "own", "leader"]


async def test_the_run_that_is_meant_can_be_chosen(service: Service) -> None:
    first = make_run(101, run_id=1, submit=SUBMIT - 9000, end=SUBMIT - 5000)
    service.reader.runs = (first, make_run(101, run_id=2))
    publish_jobs(service.store)
    await deliver(service, 101, SUBMIT - 9000, b"first")
    await deliver(service, 101, SUBMIT, b"second")
    assert await script(service) == "second"
    assert await script(service, f"101/script?submitted={SUBMIT - 9000}") == "first"
    status, _, text = await service.failure(f"{JOBS}/101/script?submitted=5")
    assert (status, text) == (404, 'job 101: not known on cluster "narval"')


async def test_while_the_state_is_down_slurmdbds_script_is_given_with_a_warning(
    service: Service, tmp_path: Path
) -> None:
    publish_jobs(service.store, make_job(101))
    (tmp_path / "state.db").mkdir()
    status, kind, text = await service.failure(f"{JOBS}/101/script")
    assert (status, kind) == (503, "unavailable")
    assert text.startswith("the scripts that were delivered are missing: state.url: ")
    service.reader.scripts = {9001: RecordedScript(CONTENT)}
    body = await (await service.get(f"{JOBS}/101/script")).json()
    assert body["data"]["script"] == CONTENT.decode()
    assert body["warnings"][0].startswith("the scripts that were delivered are missing: ")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x/script", 400),
        ("101/script?submitted=yesterday", 400),
        ("101/script?user=alice", 400),
        ("999/script", 404),
    ],
)
async def test_a_wrong_question_is_told(service: Service, path: str, expected: int) -> None:
    publish_jobs(service.store, make_job(101))
    assert (await service.failure(f"{JOBS}/{path}"))[0] == expected


@pytest.fixture
async def clients(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> Any:
    """Ask for a script as alice, bob, a token of the account, or staff."""
    file = tmp_path / "tokens.yml"
    tokens = {
        "alice": make_token(file, "alice000", "read:own", user="alice"),
        "bob": make_token(file, "bob00000", "read:own", user="bob"),
        "account": make_token(file, "account0", "read:account:def-kim"),
        "staff": make_token(file, "staff000", "read:all"),
    }
    client = await aiohttp_client(idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file)))

    async def ask(who: str, path: str = "101/script") -> str | int:
        answer = await client.get(f"{JOBS}/{path}", headers=bearer(tokens[who]))
        return (await answer.json())["data"]["script"] if answer.status == 200 else answer.status

    return ask


async def test_a_script_is_for_its_owner_and_staff(idle_service: Service, clients: Any) -> None:
    publish_jobs(idle_service.store, make_job(101))
    await deliver(idle_service, 101)
    given = {who: await clients(who) for who in ("alice", "bob", "account", "staff")}
    assert given == {"alice": CONTENT.decode(), "bob": 404, "account": 404, "staff": CONTENT.decode()}


async def test_when_an_id_is_used_again_each_user_gets_the_own_script(idle_service: Service, clients: Any) -> None:
    """The id's second owner has no script yet: the first one's must not stand in for it."""
    alice = make_run(101, run_id=1, submit=SUBMIT, end=SUBMIT + 100)
    idle_service.reader.runs = (alice,)
    publish_jobs(idle_service.store, make_job(101, run_id=2, user="bob", submit=NOW - 500))
    await deliver(idle_service, 101, SUBMIT, b"alice's")
    assert (await clients("alice"), await clients("bob")) == ("alice's", 404)
    assert await clients("staff") == 404, "the newest run of the id is meant, which has none"
    assert await clients("staff", f"101/script?submitted={SUBMIT}") == "alice's"

    await deliver(idle_service, 101, NOW - 499, b"bob's")
    assert (await clients("alice"), await clients("bob"), await clients("staff")) == ("alice's", "bob's", "bob's")


async def test_two_users_with_the_same_script_see_their_own_jobs_only(idle_service: Service, clients: Any) -> None:
    publish_jobs(idle_service.store, make_job(101), make_job(102, user="bob"))
    await deliver(idle_service, 101)
    await deliver(idle_service, 102)
    assert [await clients("bob", f"{job_id}/script") for job_id in (101, 102)] == [404, CONTENT.decode()]
