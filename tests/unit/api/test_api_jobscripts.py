"""Job scripts as an agent delivers them: kept, rejected or refused, and never lost in silence."""

import base64
import gzip
import hashlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import NoneType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.api.errors import BadData
from aggregator.api.jobscript_batch import read_batch
from aggregator.model.script import ScriptRecord

from .builders import NOW, publish_jobs
from .conftest import Service

BATCH = "/api/v1/clusters/narval/jobscripts"
CONTENT = b"#!/bin/sh\necho \xe9 \xf0\x9f\x90\x8d\n"
MIB = 2**20
AS_JSON = {"Content-Type": "application/json"}


def script(job_id: object = 7, content: bytes = CONTENT, **changes: object) -> dict[str, object]:
    return {
        "job_id": job_id,
        "written_at": NOW - 60.5,
        "content_base64": base64.b64encode(content).decode(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": 900,
        "truncated": False,
        "redactions": 2,
        **changes,
    }


async def post(service: Service, *scripts: object, **request: Any) -> tuple[int, Any]:
    assert service.client is not None
    # A file, for the client warns of large bodies in memory.
    given = request or {"data": json.dumps({"scripts": scripts}).encode(), "headers": AS_JSON}
    answer = await service.client.post(BATCH, **{**given, "data": io.BytesIO(given["data"])})
    return answer.status, await answer.json()


async def put(service: Service, path: str, body: object = CONTENT, **request: Any) -> tuple[int, Any]:
    assert service.client is not None
    answer = await service.client.put(f"{BATCH}/{path}", data=body, **request)
    return answer.status, await answer.json()


@pytest.fixture(autouse=True)
def _configured(idle_service: Service) -> None:
    publish_jobs(idle_service.store)


async def test_a_batch_is_kept_and_told_one_by_one(service: Service) -> None:
    status, body = await post(service, script(7), script(8, b"other"))
    assert (status, body["status"]) == (200, "success")
    assert body["data"] == {
        "stored": [
            {"job_id": 7, "written_at": NOW - 60.5, "sha256": hashlib.sha256(CONTENT).hexdigest()},
            {"job_id": 8, "written_at": NOW - 60.5, "sha256": hashlib.sha256(b"other").hexdigest()},
        ],
        "rejected": [],
    }
    (kept,) = await service.state.scripts.of_job("narval", 7)
    assert (kept.size, kept.truncated, kept.redactions) == (900, False, 2)
    assert await service.state.scripts.content(kept.sha256) == CONTENT


async def test_the_same_batch_again_is_told_as_stored_and_adds_nothing(service: Service) -> None:
    first = await post(service, script(7))
    assert await post(service, script(7), script(7)) == (200, {
        "status": "success", "data": {**first[1]["data"], "stored": first[1]["data"]["stored"] * 2},
    })  # fmt: skip
    assert len(await service.state.scripts.of_job("narval", 7)) == 1


async def test_an_empty_batch_and_an_empty_script_are_fine(service: Service) -> None:
    assert (await post(service))[1]["data"] == {"stored": [], "rejected": []}
    assert len((await post(service, script(7, b"")))[1]["data"]["stored"]) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"job_id": "7"}, "job_id: expected `int`, got `str`"),
        ({"job_id": 0}, "job_id: expected `int` >= 1"),
        ({"job_id": 2**32}, "job_id: expected `int` <= 4294967295"),
        ({"job_id": True}, "job_id: expected `int`, got `bool`"),
        ({"job_id": None}, "job_id: expected `int`, got `null`"),
        ({"written_at": "now"}, "written_at: expected `float`, got `str`"),
        ({"written_at": -1}, "written_at: expected `float` >= 0.0"),
        ({"sha256": "0" * 64}, "sha256: is not that of the content, which is "),
        ({"sha256": "x"}, "sha256: expected `str` matching regex"),
        ({"content_base64": "a\nb"}, "content_base64: is not base64"),
        ({"content_base64": "é"}, "content_base64: is not base64"),
        ({"sha256": False}, "sha256: expected `str`, got `bool`"),
        ({"size": -1}, "size: expected `int` >= 0"),
        ({"truncated": 1}, "truncated: expected `bool`, got `int`"),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)
async def test_a_wrong_script_is_rejected_by_its_field_and_the_others_are_kept(
    service: Service, changes: dict[str, object], told: str
) -> None:
    wrong = script(9, **changes) if "job_id" not in changes else script(**changes)
    status, answer = await post(service, wrong, script(8))
    assert status == 200
    (rejected,) = answer["data"]["rejected"]
    assert rejected["error"].startswith(told)
    assert rejected.keys() == {"job_id", "sha256", "error"}
    assert type(rejected["job_id"]) in (int, NoneType)
    assert type(rejected["sha256"]) in (str, NoneType)
    assert [stored["job_id"] for stored in answer["data"]["stored"]] == [8]


async def test_a_missing_field_is_named(service: Service) -> None:
    incomplete = script()
    del incomplete["written_at"]
    (rejected,) = (await post(service, incomplete))[1]["data"]["rejected"]
    assert "`written_at`" in rejected["error"]


async def test_a_script_over_8_mib_is_rejected_with_the_limit_and_one_of_8_mib_is_kept(service: Service) -> None:
    (rejected,) = (await post(service, script(7, b"x" * (8 * MIB + 1))))[1]["data"]["rejected"]
    assert rejected["error"] == "content_base64: the script is larger than 8 MiB"
    assert len((await post(service, script(7, b"x" * (8 * MIB))))[1]["data"]["stored"]) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "the body is not JSON: "),
        (rb'{"scripts": [{"sha256": "\ud800"}]}', "the body is not JSON: "),
        (b"[]", 'the body: must be an object such as {"scripts": []}'),
        (b"{}", "scripts: must be a list of at most 10000"),
        (b'{"scripts": {}}', "scripts: must be a list of at most 10000"),
        (b'{"scripts": [' + b"1," * 10_000 + b"1]}", "scripts: must be a list of at most 10000"),
        (b'{"scripts": [], "x\\n": 1}', "x\n: unknown field; known are scripts"),
        (b'{"scripts": [1]}', "scripts[0]: must be an object"),
        (b'{"scripts": [{"job_id": 1, "user": "root"}]}', "scripts[0].user: unknown field; known are content_base64,"),
    ],
    ids=["json", "surrogate", "list", "nothing", "mapping", "too many", "field", "item", "item's field"],
)
async def test_what_is_no_batch_is_refused_and_nothing_is_kept(service: Service, body: bytes, told: str) -> None:
    status, answer = await post(service, data=body, headers=AS_JSON)
    assert (status, answer["errorType"]) == (400, "bad_data")
    assert answer["error"].startswith(told)


async def test_a_compressed_batch_is_kept(service: Service) -> None:
    body = gzip.compress(orjson.dumps({"scripts": [script()]}))
    headers = {**AS_JSON, "Content-Encoding": "gzip"}
    assert (await post(service, data=body, headers=headers))[0] == 200
    assert len(await service.state.scripts.of_job("narval", 7)) == 1


@pytest.mark.parametrize("size_mib", [17, 100])
async def test_a_compressed_bomb_is_refused_with_the_limit(service: Service, size_mib: int) -> None:
    bomb = gzip.compress(b" " * (size_mib * MIB))
    headers = {**AS_JSON, "Content-Encoding": "gzip"}
    status, answer = await post(service, data=bomb, headers=headers)
    assert (status, answer["errorType"]) == (413, "too_large")
    assert answer["error"] == "the body is larger than 16 MiB (decompressed), which is the limit"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Content-Type": "text/yaml"}, 'Content-Type: must be application/json, got "text/yaml"'),
        ({"Content-Type": "application/json", "Content-Encoding": "compress"},
         'Content-Encoding: must be gzip or none, got "compress"'),
    ],
    ids=["type", "encoding"],
)  # fmt: skip
async def test_a_body_of_another_kind_is_refused(service: Service, headers: dict[str, str], told: str) -> None:
    status, answer = await post(service, data=b"{}", headers=headers)
    assert (status, answer["errorType"], answer["error"]) == (415, "unsupported_media_type", told)


async def test_a_body_that_is_not_what_its_encoding_says_is_the_clients_mistake(service: Service) -> None:
    headers = {**AS_JSON, "Content-Encoding": "gzip"}
    status, answer = await post(service, data=b"this is not gzip", headers=headers)
    assert (status, answer["error"]) == (400, "the body cannot be decompressed: is it what Content-Encoding says?")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_cluster_that_is_not_configured_is_named_and_the_others_are_not(service: Service, method: str) -> None:
    assert service.client is not None
    path = "/api/v1/clusters/beluga/jobscripts" + ("/7" if method == "PUT" else "")
    answer = await service.client.request(method, path, json={"scripts": []})
    assert (answer.status, (await answer.json())["error"]) == (404, 'cluster "beluga" is not configured here')


@pytest.fixture
async def broken(idle_service: Service, aiohttp_client: Any, tmp_path: Path) -> Service:
    """The API over a state whose file is a folder."""
    (tmp_path / "state.db").mkdir()
    idle_service.client = await aiohttp_client(idle_service.app())
    return idle_service


async def test_while_the_state_is_down_the_agent_is_told_to_try_again(broken: Service) -> None:
    assert broken.client is not None
    for method, path in (("POST", BATCH), ("PUT", f"{BATCH}/7"), ("PUT", f"{BATCH}/7?written_at=1")):
        answer = await broken.client.request(method, path, json={"scripts": [script()]})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
        assert (await answer.json())["error"].startswith("state.url: ")


async def test_one_script_is_put_as_it_is(service: Service) -> None:
    status, body = await put(service, "7?written_at=2023-11-14T22:00:00Z", headers={"Content-Type": "text/x-sh"})
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert status == 201
    assert body["data"] == {
        "job_id": 7, "sha256": digest, "size": len(CONTENT),
        "written_time": "2023-11-14T22:00:00Z", "written_timestamp_seconds": 1699999200.0,
    }  # fmt: skip
    assert (await put(service, "7?written_at=1699999200"))[0] == 200
    assert await service.state.scripts.of_job("narval", 7) == [
        ScriptRecord(job_id=7, written_at=1699999200.0, sha256=digest, size=len(CONTENT))
    ]
    assert await service.state.scripts.content(digest) == CONTENT


async def test_nothing_is_no_script(service: Service) -> None:
    status, body = await put(service, "7", b"")
    assert (status, body["error"]) == (400, "the body: must be the script, got nothing")
    assert await service.state.scripts.of_job("narval", 7) == []


async def test_put_again_without_a_time_adds_nothing_unless_the_script_is_another(service: Service) -> None:
    assert (await put(service, "7"))[0] == 201
    service.now += 100
    assert (await put(service, "7"))[0] == 200
    assert (await put(service, "7", b"changed"))[0] == 201
    assert [kept.written_at for kept in await service.state.scripts.of_job("narval", 7)] == [NOW + 100, NOW]


@pytest.mark.parametrize("path", ["7_1", "7+1", "x", "0", "4294967296", "7?written_at=soon", "7?written_at=nan"])
async def test_what_is_no_id_or_time_is_refused(service: Service, path: str) -> None:
    status, answer = await put(service, path)
    assert (status, answer["errorType"]) == (400, "bad_data")


async def test_a_body_of_50_mb_is_refused_and_not_kept(service: Service) -> None:
    """Sent in chunks, so that no length tells it beforehand."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield bytes(10**6)

    status, answer = await put(service, "7", body())
    assert (status, answer["error"]) == (413, "the body is larger than 8 MiB (decompressed), which is the limit")
    assert await service.state.scripts.of_job("narval", 7) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(sorted(script())), _JSON))
def test_any_value_of_a_known_field_is_kept_or_rejected_never_a_failure(item: dict[str, object]) -> None:
    try:
        batch = read_batch(json.dumps({"scripts": [{**script(), **item}]}).encode())
    except BadData as error:
        assert "JSON" in str(error)
        return
    assert len(batch.scripts) + len(batch.rejected) == 1


@given(st.binary(max_size=50))
def test_any_body_is_a_batch_or_bad_data(body: bytes) -> None:
    try:
        read_batch(body)
    except BadData:
        return
    assert orjson.loads(body) == {"scripts": []}
