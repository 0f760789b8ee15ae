"""Conditional requests: who has the answer of now is told so without it being made, and nobody else is."""

import asyncio
import gc
import threading
import weakref
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import orjson
import pytest
from aiohttp import web

import aggregator.api.history as history
import aggregator.api.lists as lists
import aggregator.api.unchanged as unchanged
from aggregator.api.access import HEALTH
from aggregator.api.keys import SETTINGS
from aggregator.api.tokens.store import TokenStore
from aggregator.api.visibility import Rules
from aggregator.engine.frame import Frames
from aggregator.engine.query import ListPage, QueryError
from tests.clouds import make_instance
from tests.spaces import Space

from .builders import JOBS, NOW, STALE_AFTER, make_job, make_status, publish_jobs, publish_space
from .conftest import Service
from .test_api_cloud import publish_cloud
from .tokens import bearer, make_token

CLUSTER = "/api/v1/clusters/narval"
SPACE = Space("def-kim")
OF_SNAPSHOT = (
    JOBS, f"{JOBS}/1", f"{JOBS}?user=alice", f"{JOBS}?group_by=user", f"{CLUSTER}/users", f"{CLUSTER}/users/alice",
    f"{CLUSTER}/accounts", f"{CLUSTER}/accounts/def-kim", f"{CLUSTER}/qos", f"{CLUSTER}/partitions", "/api/v1/storage",
    "/api/v1/storage/project", "/api/v1/storage/project/groups", "/api/v1/storage/project/groups/def-kim",
    "/api/v1/storage/project/users", "/api/v1/cloud", "/api/v1/cloud/projects", "/api/v1/cloud/projects/def-kim-dev",
    "/api/v1/cloud/instances?project=def-kim-dev", "/api/v1/cloud/instances/u1",
)  # fmt: skip


class Made:
    """How many jobs were written into answers; while `may_end` is not set, none is finished."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs = 0
        self.mistake = ""
        self.begun: SimpleQueue[None] = SimpleQueue()
        self.may_end = threading.Event()
        self.may_end.set()
        self._find = lists.page_of
        monkeypatch.setattr(lists, "page_of", self.find)

    def find(self, *arguments: Any) -> ListPage:
        self.begun.put(None)
        assert self.may_end.wait(30)
        if self.mistake:
            raise QueryError(self.mistake)
        page = self._find(*arguments)
        self.jobs += page.rows.height
        return page

    async def begin(self, service: Service, path: str) -> "asyncio.Task[Any]":
        """Ask, and give the request while its answer is being made."""
        self.may_end.clear()
        task = asyncio.ensure_future(ask(service, path))
        await asyncio.to_thread(self.begun.get, timeout=30)
        return task


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(monkeypatch)


@pytest.fixture
async def guarded(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> dict[str, dict[str, str]]:
    """Headers of three who see different things."""
    file = tmp_path / "tokens.yml"
    tokens = {name: bearer(make_token(file, f"{name}00000"[:8], "read:own", user=name)) for name in ("alice", "bob")}
    tokens["staff"] = bearer(make_token(file, "staff000", "read:all"))
    publish_jobs(idle_service.store, make_job(1, user="alice"), make_job(2, user="bob"))
    app = idle_service.app(open_areas=frozenset({HEALTH}), tokens=TokenStore(file))
    idle_service.client = await aiohttp_client(app)
    return tokens


def publish_all(service: Service) -> None:
    publish_jobs(service.store, make_job(1, user="alice"))
    publish_space(service.store, SPACE)
    publish_cloud(service, make_instance(uuid="u1"))


async def ask(service: Service, path: str, etag: str = "", **headers: str) -> Any:
    conditional = {"If-None-Match": etag} if etag else {}
    response = await service.get(path, headers={**headers, **conditional})
    return response.status, response.headers.get("ETag", ""), await response.read(), response


@pytest.mark.parametrize("path", OF_SNAPSHOT)
async def test_who_has_the_answer_is_told_so_as_often_as_it_asks(service: Service, path: str) -> None:
    publish_all(service)
    status, etag, body, plain = await ask(service, path)
    assert (status, bool(body)) == (200, True)
    for _ in range(2):
        again = await ask(service, path, f'"other", {etag}')
        assert again[:3] == (304, etag, b"")
        for name in ("Cache-Control", "Vary", "Content-Security-Policy"):
            assert again[3].headers[name] == plain.headers[name]
    assert (await ask(service, path, "*"))[0] == 304
    assert (await ask(service, path, 'W/"other"'))[:3] == (200, etag, body)
    assert (await ask(service, path))[:3] == (200, etag, body)


async def test_an_answer_that_is_had_is_not_made_again(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1), make_job(2))
    _, etag, _, _ = await ask(service, JOBS)
    assert made.jobs == 2
    for _ in range(3):
        assert (await ask(service, JOBS, etag))[0] == 304
    assert made.jobs == 2


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_an_answer_is_given_again_without_making_it(service: Service, made: Made, encoding: str) -> None:
    publish_jobs(service.store, *(make_job(number) for number in range(1, 30)))
    first = await ask(service, JOBS, **{"Accept-Encoding": encoding})
    for _ in range(2):
        again = await ask(service, JOBS, **{"Accept-Encoding": encoding})
        assert again[:3] == first[:3]
        for name in ("Content-Type", "Content-Encoding", "Cache-Control", "Vary", "Content-Security-Policy"):
            assert again[3].headers.get(name) == first[3].headers.get(name), name
    assert made.jobs == 29


async def test_an_answer_too_large_to_be_kept_is_made_again_and_confirmed(
    service: Service, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "_LARGEST_BYTES", 10)
    publish_jobs(service.store, make_job(1))
    _, etag, body, _ = await ask(service, JOBS)
    assert (await ask(service, JOBS))[2] == body
    assert made.jobs == 2
    assert (await ask(service, JOBS, etag))[0] == 304
    assert made.jobs == 2


async def test_who_asks_while_it_is_made_gets_the_same(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1), make_job(2))
    first = await made.begin(service, JOBS)
    others = [asyncio.ensure_future(ask(service, JOBS)) for _ in range(5)]
    # Another answer, asked for after them and given before: all of them have come in by then.
    assert (await ask(service, "/-/healthy"))[0] == 200
    made.may_end.set()
    status, etag, body, _ = await first
    assert (status, bool(body)) == (200, True)
    assert [(await other)[:3] for other in others] == [(200, etag, body)] * 5
    assert made.jobs == 2


async def test_what_cannot_be_made_is_tried_by_each(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1))
    made.mistake = "no such thing"
    first = await made.begin(service, JOBS)
    other = asyncio.ensure_future(ask(service, JOBS))
    assert (await ask(service, "/-/healthy"))[0] == 200
    made.may_end.set()
    assert ((await first)[0], (await other)[0]) == (400, 400)
    assert made.jobs == 0


async def test_who_asks_after_a_refresh_does_not_get_what_was_begun_before(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1))
    first = await made.begin(service, JOBS)
    publish_jobs(service.store, make_job(1), make_job(2))
    second = await made.begin(service, JOBS)
    made.may_end.set()
    bodies = [orjson.loads((await task)[2]) for task in (first, second)]
    assert [len(body["data"]["jobs"]) for body in bodies] == [1, 2]
    assert len(orjson.loads((await ask(service, JOBS))[2])["data"]["jobs"]) == 2


async def test_after_a_refresh_it_is_made_once_though_it_may_be_the_same(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1))
    _, etag, _, _ = await ask(service, JOBS)
    publish_jobs(service.store, make_job(1))
    for _ in range(3):
        assert (await ask(service, JOBS, etag))[0] == 304
    assert made.jobs == 2
    publish_jobs(service.store, make_job(1), make_job(2))
    assert (await ask(service, JOBS, etag))[0] == 200


async def test_another_query_is_another_answer(service: Service) -> None:
    publish_jobs(service.store, make_job(1, user="alice"), make_job(2, user="bob"))
    _, etag, _, _ = await ask(service, f"{JOBS}?user=alice")
    assert (await ask(service, f"{JOBS}?user=bob", etag))[0] == 200
    assert (await ask(service, f"{JOBS}?user=alice", etag))[0] == 304


async def test_each_has_answers_of_its_own(
    idle_service: Service, guarded: dict[str, dict[str, str]], made: Made
) -> None:
    of = {name: (await ask(idle_service, JOBS, **headers))[1] for name, headers in guarded.items()}
    assert len(set(of.values())) == 3
    for asker, headers in guarded.items():
        for owner, etag in of.items():
            assert (await ask(idle_service, JOBS, etag, **headers))[0] == (304 if asker == owner else 200)
    # Even "whatever there is" is answered by what the asker may see.
    assert (await ask(idle_service, JOBS, "*", **guarded["bob"]))[1] == of["bob"]
    assert (await ask(idle_service, JOBS, of["staff"]))[0] == 401


async def test_a_look_is_in_the_log_though_nothing_new_is_shown(
    idle_service: Service, guarded: dict[str, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aggregator.audit")
    _, etag, _, _ = await ask(idle_service, JOBS, **guarded["staff"])
    (first,) = caplog.messages
    caplog.clear()
    assert (await ask(idle_service, JOBS, etag, **guarded["staff"]))[0] == 304
    assert caplog.messages == [first]
    assert "whose=['alice', 'bob']" in first


async def test_data_that_are_too_old_by_now_are_not_confirmed(service: Service) -> None:
    publish_jobs(service.store, make_job(1), status=make_status(last_success=NOW))
    _, etag, _, _ = await ask(service, JOBS)
    service.now = NOW + STALE_AFTER + 1
    assert (await ask(service, JOBS, etag))[0] == 503
    service.now = NOW + STALE_AFTER - 1
    assert (await ask(service, JOBS, etag))[0] == 304


async def test_a_snapshot_that_may_not_be_shown_any_more_is_not_confirmed(service: Service) -> None:
    publish_jobs(service.store, make_job(1))
    _, etag, _, _ = await ask(service, JOBS)
    service.store.publish_cluster(service.store.latest.clusters["narval"], seconds=-1)
    assert (await ask(service, JOBS, etag))[0] != 304


@pytest.mark.parametrize("query", ["start=now-1h", "start=1&end=2"])
async def test_what_is_not_of_the_snapshot_is_looked_up_each_time(
    service: Service, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    publish_jobs(service.store)
    looked: list[str] = []
    join_kept = history.join_kept

    async def noticed(request: web.Request, *arguments: Any) -> tuple[Frames, list[str]]:
        looked.append(request.query_string)
        return await join_kept(request, *arguments)

    monkeypatch.setattr(history, "join_kept", noticed)
    _, etag, _, _ = await ask(service, f"{JOBS}/history?{query}")
    assert (await ask(service, f"{JOBS}/history?{query}", etag))[0] == 304
    assert looked == [query, query]


async def test_a_mistake_is_a_mistake_each_time(service: Service) -> None:
    publish_jobs(service.store, make_job(1))
    for path in (f"{JOBS}?limit=0", f"{CLUSTER}/users/nobody", "/api/v1/clusters/other/jobs"):
        for _ in range(2):
            assert (await ask(service, path, "*"))[0] in (400, 404)


async def test_a_reload_forgets_what_was_made_with_other_settings(
    idle_service: Service, guarded: dict[str, dict[str, str]], made: Made
) -> None:
    _, etag, _, _ = await ask(idle_service, JOBS, **guarded["alice"])
    before = made.jobs
    settings = app_of(idle_service)[SETTINGS]
    settings.rules = Rules(staff_users=frozenset({"alice"}))
    assert (await ask(idle_service, JOBS, etag, **guarded["alice"]))[0] == 200
    settings.rules = Rules()
    assert (await ask(idle_service, JOBS, etag, **guarded["alice"]))[0] == 304
    assert made.jobs == before + 3


def app_of(service: Service) -> web.Application:
    assert service.client is not None
    app = service.client.app
    assert app is not None
    return app


async def test_an_old_snapshot_is_not_kept_for_those_who_may_ask_again(service: Service) -> None:
    publish_jobs(service.store, make_job(1))
    await ask(service, JOBS)
    old = weakref.ref(service.store.latest)
    publish_jobs(service.store, make_job(2))
    gc.collect()
    assert old() is None


async def test_a_fetch_alone_makes_no_answer_anew(service: Service, made: Made) -> None:
    """A refresh tells each source's fetch as it comes, before the view that is made of them."""
    publish_jobs(service.store, make_job(1))
    _, etag, _, _ = await ask(service, JOBS)
    for at in (NOW - 1, NOW):
        service.store.publish_source(make_status(last_attempt=at, last_success=at, rows=9, duration_seconds=2.0))
        assert (await ask(service, JOBS, etag))[0] == 304
    assert made.jobs == 1


async def test_a_source_that_fails_is_told_at_once(service: Service) -> None:
    publish_jobs(service.store, make_job(1))
    _, etag, _, _ = await ask(service, JOBS)
    service.store.publish_source(make_status(up=False, last_attempt=NOW, error="gone"))
    status, _, body, _ = await ask(service, JOBS, etag)
    assert (status, "gone" in body.decode()) == (200, True)
    service.store.publish_source(make_status(failed_inputs={"gpus": "no answer"}))
    status, _, body, _ = await ask(service, JOBS, etag)
    assert (status, "gpus: no answer" in body.decode()) == (200, True)
    service.store.publish_source(make_status())
    assert (await ask(service, JOBS, etag))[0] == 304


async def made_ahead(service: Service, made: Made, *jobs: int) -> None:
    """Publish jobs, and wait until an answer is made that nobody has asked for."""
    publish_jobs(service.store, *map(make_job, jobs))
    await asyncio.to_thread(made.begun.get, timeout=30)
    # Whatever is being made is done by now: the one who asks waits for it.
    await ask(service, JOBS)


@pytest.mark.parametrize("conditional", [True, False], ids=["304", "200"])
async def test_what_was_asked_for_again_is_made_anew_before_anybody_asks(
    service: Service, made: Made, conditional: bool
) -> None:
    publish_jobs(service.store, make_job(1))
    _, etag, _, _ = await ask(service, JOBS)
    await ask(service, JOBS, etag if conditional else "")
    made.begun.get()
    await made_ahead(service, made, 1, 2)
    assert made.jobs == 1 + 2
    status, _, body, _ = await ask(service, JOBS, etag)
    assert (status, len(orjson.loads(body)["data"]["jobs"])) == (200, 2)
    assert made.jobs == 1 + 2


async def test_a_refresh_of_something_else_makes_no_answer_anew(service: Service, made: Made) -> None:
    publish_all(service)
    _, etag, _, _ = await ask(service, JOBS)
    publish_space(service.store, SPACE)
    publish_cloud(service, make_instance(uuid="u1"))
    assert (await ask(service, JOBS, etag))[0] == 304
    assert made.jobs == 1


async def test_it_is_made_of_the_last_view_though_several_follow_at_once(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1))
    await ask(service, JOBS)
    await ask(service, JOBS)
    made.begun.get()
    publish_jobs(service.store, make_job(1), make_job(2))
    await made_ahead(service, made, 1, 2, 3)
    assert len(orjson.loads((await ask(service, JOBS))[2])["data"]["jobs"]) == 3
    assert made.jobs == 1 + 3


async def test_what_nobody_has_asked_for_lately_is_not_made_ahead(
    service: Service, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "_WANTED_SECONDS", 0.0)
    publish_jobs(service.store, make_job(1))
    await ask(service, JOBS)
    await ask(service, JOBS)
    publish_jobs(service.store, make_job(1), make_job(2))
    for _ in range(3):
        assert (await ask(service, "/-/healthy"))[0] == 200
    assert made.jobs == 1


async def test_what_a_newer_view_has_overtaken_is_not_given(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1))
    await ask(service, JOBS)
    await ask(service, JOBS)
    made.begun.get()
    made.may_end.clear()
    publish_jobs(service.store, make_job(1), make_job(2))
    await asyncio.to_thread(made.begun.get, timeout=30)
    publish_jobs(service.store, *(make_job(number) for number in (1, 2, 3)))
    made.may_end.set()
    assert len(orjson.loads((await ask(service, JOBS))[2])["data"]["jobs"]) == 3


async def test_what_is_made_ahead_is_in_the_log_once_it_is_read_and_each_has_their_own(
    idle_service: Service, guarded: dict[str, dict[str, str]], made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("alice", "staff"):
        await ask(idle_service, JOBS, **guarded[name])
        await ask(idle_service, JOBS, **guarded[name])
        made.begun.get()
    caplog.set_level("INFO", "aggregator.audit")
    publish_jobs(idle_service.store, make_job(1, user="alice"), make_job(2, user="bob"), make_job(3, user="bob"))
    for _ in range(2):
        await asyncio.to_thread(made.begun.get, timeout=30)
    # Alice sees nobody else: whatever is in the log is the staff's.
    alice = orjson.loads((await ask(idle_service, JOBS, **guarded["alice"]))[2])["data"]["jobs"]
    assert ([job["id"] for job in alice], caplog.messages) == (["1"], [])
    staff = orjson.loads((await ask(idle_service, JOBS, **guarded["staff"]))[2])["data"]["jobs"]
    assert (len(staff), len(caplog.messages), made.begun.empty()) == (3, 1, True)
    assert "whose=['alice', 'bob']" in caplog.messages[0]


async def test_only_so_many_answers_are_made_ahead(service: Service, made: Made) -> None:
    publish_jobs(service.store, make_job(1))
    for number in range(20):
        for _ in range(2):
            await ask(service, f"{JOBS}?limit={number + 1}")
    before = made.jobs
    publish_jobs(service.store, make_job(1))
    # The last of them is made when all that go before it are.
    await ask(service, f"{JOBS}?limit=17")
    for number in range(16):
        await ask(service, f"{JOBS}?limit={number + 1}")
    assert made.jobs == before + 17
