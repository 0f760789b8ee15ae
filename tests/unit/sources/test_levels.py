"""level_fs as slurm-exporter shows it: believed while its collector works, and infinity is a word of its own."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus import ExporterSettings, PrometheusLevels
from tests.builders import HOSTILE_NAMES, NOW

from .fake_prometheus import KEY, FakePrometheus, make_client, vector


@pytest.fixture
async def prometheus() -> AsyncIterator[FakePrometheus]:
    fake = FakePrometheus()
    async with TestServer(fake.app()) as server:
        fake.url = str(server.make_url("/prom"))
        yield fake
        fake.release()


async def fetch(prometheus: FakePrometheus, **changes: object) -> tuple[PrometheusLevels, dict[str, float]]:
    client = make_client(prometheus.url)
    source = PrometheusLevels(client, {"cluster": "narval"}, ExporterSettings(**changes))  # type: ignore[arg-type]
    try:
        return source, dict((await source.fetch(NOW)).frame.iter_rows())
    finally:
        await client.close()


async def test_levels_are_by_account_and_infinity_stays(prometheus: FakePrometheus) -> None:
    prometheus.answers["levelfs"] = vector(
        ({"account": "def-kim"}, "1.842311"), ({"account": "rrg-lee"}, "+Inf"), ({"account": HOSTILE_NAMES[0]}, "0"),
    )  # fmt: skip
    prometheus.answers["collect_error"] = vector(({"collector": "gpus"}, "1"), ({"collector": "sshare"}, "0"))

    source, levels = await fetch(prometheus)

    assert levels == {"def-kim": 1.842311, "rrg-lee": float("inf"), HOSTILE_NAMES[0]: 0.0}
    assert (source.rows, source.features) == (3, {"levelfs": True})
    assert len(prometheus.queries) == 3
    assert all('cluster="narval"' in query["query"] for query in prometheus.queries)


async def test_what_is_no_level_is_left_out(prometheus: FakePrometheus) -> None:
    prometheus.answers["levelfs"] = vector(({"account": "a"}, "NaN"), ({"account": "b"}, "-1"), ({}, "3"))

    assert (await fetch(prometheus))[1] == {}


@pytest.mark.parametrize("name", ["slurm_exporter_collect_error", "slurm_exporter_collect_timeout"])
async def test_nothing_is_believed_when_the_collector_failed(prometheus: FakePrometheus, name: str) -> None:
    prometheus.answers["levelfs"] = vector(({"account": "def-kim"}, "0"))
    prometheus.answers[name] = vector(({"collector": "sshare"}, "1"))

    source, levels = await fetch(prometheus)

    assert (levels, source.features) == ({}, {"levelfs": False})


async def test_an_exporter_that_shows_none_is_no_error(prometheus: FakePrometheus) -> None:
    assert (await fetch(prometheus))[1] == {}


async def test_other_names_of_the_site_are_asked_for(prometheus: FakePrometheus) -> None:
    prometheus.answers["my_levels"] = vector(({"acct": "def-kim"}, "2"))

    _, levels = await fetch(prometheus, metrics={"account_levelfs": "my_levels"}, labels={"account": "acct"})

    assert levels == {"def-kim": 2.0}


async def test_a_failing_prometheus_names_the_key(prometheus: FakePrometheus) -> None:
    prometheus.answers["collect_timeout"] = web.Response(status=503, body=b"gone", content_type="text/plain")

    with pytest.raises(FetchError, match=KEY):
        await fetch(prometheus)
