import asyncio
import gc
import json
import re
import weakref
from typing import Any

import pytest
from aiohttp import web
from fake_prometheus import KEY, FakePrometheus, make_client, sample, vector

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import PrometheusClient
from tests.builders import NOW

DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+")


def answer(text: str, status: int = 200, content_type: str = "application/json") -> Any:
    return lambda: web.Response(text=text, status=status, content_type=content_type)


async def refused(client: PrometheusClient) -> str:
    """Query; give the text of the error."""
    with pytest.raises(FetchError) as error:
        await client.query("up", NOW)
    text = str(error.value)
    assert text.startswith(KEY), "the text names the key to fix"
    return text


async def test_a_vector_is_given_with_its_labels(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.answers["up"] = vector(sample("1.5"), sample("+Inf", node="node02"))
    found = await client.query("up", NOW)
    assert [(one.metric["instance"], one.value[1]) for one in found] == [("node01:9798", "1.5"), ("node02", "+Inf")]


async def test_the_query_and_the_time_are_posted(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    await client.query('up{a="é"}', NOW + 0.25)
    (form,) = prometheus.queries
    assert form["query"] == 'up{a="é"}'
    assert float(form["time"]) == NOW + 0.25


@pytest.mark.parametrize("timeout", [5.0, 0.5, 1.5, 30.25, 3_000_000.0])
async def test_the_timeout_is_sent_as_a_duration_that_prometheus_reads(
    prometheus: FakePrometheus, timeout: float
) -> None:
    """Prometheus refuses `0.5s`; it reads a plain number of seconds, or `500ms`."""
    client = make_client(prometheus.url, timeout=timeout)
    await client.query("up", NOW)
    await client.close()
    sent = prometheus.queries[0]["timeout"]
    assert DURATION.fullmatch(sent) or float(sent) == timeout


async def test_secret_headers_are_read_anew_at_each_request(prometheus: FakePrometheus) -> None:
    tokens = iter(["Bearer one", "Bearer two"])
    client = make_client(prometheus.url, headers=lambda: {"Authorization": next(tokens)})
    await client.query("up", NOW)
    await client.query("up", NOW)
    await client.close()
    assert [headers["Authorization"] for headers in prometheus.headers] == ["Bearer one", "Bearer two"]


async def test_an_empty_vector_is_no_error(client: PrometheusClient) -> None:
    assert list(await client.query("up", NOW)) == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (answer("<html>login</html>", 200, "text/html"), "HTTP 200 with text/html, not the answer of a Prometheus API"),
        (answer("<html>login</html>", 401, "text/html"), "HTTP 401 with text/html: check bearer_token, basic_auth"),
        (answer("Unauthorized\n", 403, "text/plain"), "HTTP 403 with text/plain: check bearer_token, basic_auth"),
        (answer("too many requests", 429, "text/plain"), "too many queries: lower refresh.max_concurrent_queries"),
        (answer('{"status":"error","errorType":"too_many_requests","error":"too many outstanding requests"}', 429),
         "HTTP 429: too_many_requests: too many outstanding requests"),
        (answer('{"status":"error","errorType":"execution","error":"query processing would load too many samples"}',
                422), "HTTP 422: execution: query processing would load too many samples"),
        (answer("Service Unavailable", 503, "text/plain"), "HTTP 503 with text/plain: the engine is not ready"),
        (answer("no healthy upstream", 502, "text/plain"), "behind a proxy that does not reach it"),
        (answer("", 302, "text/html"), "HTTP 302"),
        (answer("oops", 500, "text/plain"), "HTTP 500"),
        (answer("", 200), "HTTP 200"),
        (answer('{"status":"succ', 200), "HTTP 200"),
        (answer("[]", 200), "not the answer of a Prometheus API"),
        (answer('{"hello":"world"}', 200), "not the answer of a Prometheus API"),
        (answer('{"status":"success"}'), "HTTP 200"),
        (answer('{"status":"error","errorType":"bad_data","error":"parse error"}', 400),
         "HTTP 400: bad_data: parse error"),
        (answer('{"status":"error","errorType":"timeout","error":"query timed out"}', 503), "query timed out"),
        (answer('{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}'),
         "expected an instant vector, got scalar"),
        (answer('{"status":"success","data":{"resultType":"string","result":[1,"two"]}}'),
         "expected an instant vector, got string"),
        (answer('{"status":"success","data":{"resultType":"matrix","result":[]}}'),
         "expected an instant vector, got matrix"),
        (answer('{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]]}]}}'),
         "expected an instant vector, got matrix"),
    ],
)  # fmt: skip
async def test_anything_but_a_vector_is_an_error_that_names_the_key(
    prometheus: FakePrometheus, client: PrometheusClient, make: Any, says: str
) -> None:
    prometheus.everything = make
    assert says in await refused(client)


async def test_bytes_that_are_no_text_are_an_error(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.everything = lambda: web.Response(body=b"\xff\xfe\x00", content_type="application/json")
    assert "not the answer of a Prometheus API" in await refused(client)


async def test_a_long_error_is_cut(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    prometheus.everything = answer(json.dumps({"status": "error", "errorType": "x", "error": "y" * 10_000}), 422)
    assert len(await refused(client)) < 500


async def test_a_server_that_hangs_is_given_up(prometheus: FakePrometheus) -> None:
    prometheus.hang = True
    client = make_client(prometheus.url, timeout=0.05)
    assert await refused(client) == f"{KEY}: no answer within 0.05 s"
    await client.close()
    prometheus.release()


async def test_a_server_that_is_not_there_is_named(unused_tcp_port: int) -> None:
    client = make_client(f"http://127.0.0.1:{unused_tcp_port}")
    text = await refused(client)
    assert f"{KEY}.url: cannot reach http://127.0.0.1:{unused_tcp_port}" in text
    await client.close()


async def test_a_client_that_was_closed_opens_again(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    await client.query("up", NOW)
    await client.close()
    await client.close()
    assert list(await client.query("up", NOW)) == []


async def test_a_redirect_is_named_and_not_followed(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    """The token would go to another host; what follows the path may be a ticket of the login."""
    to = "https://user:secret@login.example.org/sso?ticket=secret"
    prometheus.everything = lambda: web.Response(status=302, headers={"Location": to})
    text = await refused(client)
    assert "a redirect to login.example.org/sso: check url" in text
    assert "secret" not in text
    assert len(prometheus.queries) == 1


async def test_victoriametrics_is_asked_for_the_time_itself(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    """It would answer with what was 30 s before, under the time that was asked for."""
    await client.query("up", NOW)
    assert prometheus.queries[0]["nocache"] == "1"


PARTIAL = [
    ({"warnings": ["store sidecar-2:10901: no such host"]}, "store sidecar-2:10901: no such host"),
    ({"warnings": ["PromQL warning: encountered a mix of histograms and floats"]}, "a mix of histograms and floats"),
    ({"isPartial": True}, "isPartial: not every vmstorage has answered"),
    ({"warnings": ["x" * 10_000]}, "xxx"),
]
WHOLE = [
    {},
    {"warnings": None, "infos": None, "isPartial": False, "stats": {"seriesFetched": "2"}, "trace": {"message": "m"}},
    {"infos": ["PromQL info: metric might not be a counter"]},
    {"warnings": ["PromQL info: metric might not be a counter"]},
]


@pytest.mark.parametrize(("more", "says"), PARTIAL)
async def test_an_answer_that_is_not_whole_is_no_answer(
    prometheus: FakePrometheus, client: PrometheusClient, more: dict[str, Any], says: str
) -> None:
    """From the series of one store of two, half of the jobs would look idle."""
    prometheus.answers["up"] = {**vector(sample("1")), **more}
    text = await refused(client)
    assert "the answer is not whole: " in text
    assert says in text
    assert len(text) < 500


@pytest.mark.parametrize("more", WHOLE)
async def test_remarks_on_the_expression_are_no_warnings(
    prometheus: FakePrometheus, client: PrometheusClient, more: dict[str, Any]
) -> None:
    prometheus.answers["up"] = {**vector(sample("1")), **more}
    assert len(await client.query("up", NOW)) == 1


async def test_a_long_answer_is_read_in_pieces(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    samples = [sample(str(number), node=f"node{number}", job=str(number)) for number in range(20_000)]
    prometheus.answers["up"] = vector(*samples)
    found = await client.query("up", NOW)
    assert [(one.metric, one.value[1]) for one in found] == samples


async def test_a_long_answer_that_breaks_off_is_an_error(prometheus: FakePrometheus, client: PrometheusClient) -> None:
    samples = [sample(str(number), node=f"node{number}", job=str(number)) for number in range(20_000)]
    text = json.dumps(vector(*samples), separators=(",", ":"))
    prometheus.everything = answer(text[: len(text) // 2])
    assert "not the answer of a Prometheus API" in await refused(client)


async def test_a_long_answer_whose_warning_comes_last_is_not_whole(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    samples = [sample(str(number), node=f"node{number}") for number in range(20_000)]
    prometheus.everything = answer(json.dumps({**vector(*samples), "warnings": ["late"]}, separators=(",", ":")))
    assert "the answer is not whole: late" in await refused(client)


class Large:
    """What is known of a whole cluster."""


async def test_who_got_no_answer_keeps_nothing_until_the_next_collection(prometheus: FakePrometheus) -> None:
    """A Prometheus may hang for hours, and a ledger that asks it has a whole snapshot in hand."""
    prometheus.hang = True
    client = make_client(prometheus.url, timeout=0.05)

    async def ask(_: Large) -> None:
        await asyncio.gather(client.query("up", NOW))

    async def fail() -> "weakref.ref[Large]":
        large = Large()
        with pytest.raises(FetchError):
            await ask(large)
        return weakref.ref(large)

    gc.disable()
    try:
        gone = await fail()
        await client.close()
        assert gone() is None
    finally:
        gc.enable()
        prometheus.release()
