"""What a source sends is read to a bound, off the event loop: whatever it is, the service goes on answering."""

import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest

from aggregator.sources import mysql
from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.answer import MAX_SERIES
from tests.faults.test_bombs_tls import PASSWORD, accounting
from tests.lab.mariadb import MariaDB
from tests.lab.ports import LOOPBACK
from tests.scenarios.site import Site

pytestmark = pytest.mark.mariadb

HEAD = b'{"status":"success","data":{"resultType":"vector","result":['
SAMPLE = b'{"metric":{},"value":[1,"1"]},'
BLOCK = 1 << 24
DEEP = HEAD + b"[" * 200_000
# A scrape or a question of health that waits for longer is a failed one.
PATIENCE = 10.0


def gzip(head: bytes, block: bytes, times: int) -> bytes:
    """Compress a head and so many blocks, in no time: after a full flush, the same block has the same bytes."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    begin = squeeze.compress(head) + squeeze.flush(zlib.Z_FULL_FLUSH)
    one = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + begin + one * times + squeeze.flush() + bytes(8)


BOMBS = {
    "two gigabytes of nothing": (gzip(HEAD, b" " * BLOCK, 128), "MiB without a series, or in one of them"),
    "two gigabytes of series": (gzip(HEAD, SAMPLE * (BLOCK // len(SAMPLE)), 128), f"more than {MAX_SERIES} series"),
    "nested without end": (DEEP, "not the answer of a Prometheus API"),
    "not gzip": (b"\x1f\x8b" + b"x" * 1000, "not the gzip that it says it is"),
    "half of it": (gzip(HEAD, b" " * BLOCK, 1)[:-2000], "gzip that breaks off"),
}


@contextmanager
def asked_all_the_time(site: Site) -> Iterator[list[float]]:
    """Ask for the page and for health, again and again; give how long the longest answer took."""
    longest, done = [0.0], Event()

    def ask() -> None:
        while not done.is_set():
            for path in ("/-/healthy", "/metrics"):
                begun = time.monotonic()
                status, _ = site.service.get(path)
                longest[0] = max(longest[0], time.monotonic() - begun)
                assert status == 200

    thread = Thread(target=ask)
    thread.start()
    try:
        yield longest
    finally:
        done.set()
        thread.join()


def source(site: Site, name: str) -> dict[str, Any]:
    found = site.service.data("/api/v1/status")["sources"]
    (state,) = (each for each in found if (each["source"], each["scope"]) == (name, site.cluster))
    return dict(state)


def test_no_answer_of_prometheus_stops_the_service_or_its_other_sources(site: Site) -> None:
    site.config["refresh"]["max_concurrent_queries"] = 1
    site.start()
    site.wait(lambda: source(site, "prometheus")["up"], "Prometheus to be read")
    for what, (content, text) in BOMBS.items():
        before = len(site.proxy.queries)
        with asked_all_the_time(site) as longest:
            site.proxy.fault = lambda path, parameters, content=content: (200, content)  # type: ignore[misc]
            site.wait(lambda text=text: text in (source(site, "prometheus")["error"] or ""), what, 60)  # type: ignore[misc]
            assert accounting(site)["up"], what
        assert longest[0] < PATIENCE, what
        assert len(site.proxy.queries) > before
        site.proxy.fault = None
        site.wait(lambda: source(site, "prometheus")["up"], "Prometheus to be read again", 60)


@pytest.mark.parametrize(
    ("most", "fits", "too_much"),
    [
        ("MAX_ROWS", "SELECT seq FROM mysql.seq_1_to_10000", "SELECT seq FROM mysql.seq_1_to_1000000"),
        ("MAX_BYTES", "SELECT REPEAT('x', 900000) FROM mysql.seq_1_to_1", "SELECT REPEAT('x', 9000000)"),
        (
            "MAX_BYTES",
            "SELECT REPEAT('x', 9000) FROM mysql.seq_1_to_9",
            "SELECT REPEAT('x', 9000) FROM mysql.seq_1_to_999",
        ),
    ],
    ids=["rows", "one large row", "large rows"],
)
async def test_rows_of_mariadb_are_read_to_a_bound(
    mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch, most: str, fits: str, too_much: str
) -> None:
    """A nodelist can have 16 MB, and nobody counts the jobs of a broken table."""
    monkeypatch.setattr(mysql, most, {"MAX_ROWS": 10_000, "MAX_BYTES": 1 << 20}[most])
    mariadb.create_user("bounded", PASSWORD, ["SELECT ON *.*"])
    database = mysql.Database(
        mysql.Connection(
            key="key", host=LOOPBACK, port=mariadb.port, user="bounded", password=lambda: PASSWORD,
            database="information_schema",
        )
    )  # fmt: skip
    try:
        for _ in range(2):
            assert await database.rows(fits)
            with pytest.raises(FetchError, match="key: one statement gave more than"):
                await database.rows(too_much)
    finally:
        await database.close()


def test_bytes_that_are_no_text_in_a_name_cost_no_page(site: Site) -> None:
    """Half of a surrogate pair in UTF-8, which no JSON and no page may contain."""
    site.execute(f"ALTER TABLE `{site.cluster}_job_table` MODIFY job_name BLOB NOT NULL")
    site.job(1, job_name=b"a\xed\xa0\x80b")
    site.job(2, job_name="good")
    site.start(until=lambda: site.value("hpc_job_info", slurmjobid="2"))
    assert site.value("hpc_job_info", slurmjobid="1") == 1
    _, body = site.service.get(f"/api/v1/clusters/{site.cluster}/jobs")
    assert {job["job_id"] for job in json.loads(body)["data"]["jobs"]} == {1, 2}
