import json
import re
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
        (answer("<html>login</html>", 401, "text/html"), "HTTP 401"),
        (answer("Unauthorized\n", 401, "text/plain"), "HTTP 401"),
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
