"""From Slurm's spool into ours: complete scripts only, once each, without their secrets."""

import logging
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobscript_ingest.collect import Collector
from jobscript_ingest.metrics import AgentMetrics
from jobscript_ingest.redact import Pattern, Rule
from jobscript_ingest.settings import BatchLimits
from jobscript_ingest.spool import Spool
from tests.unit.jobscript_ingest.builders import TEXT, FakeSlurmctld, make_collector, make_settings, value

ALL = BatchLimits(10_000, 2**30)


@pytest.fixture
def collector(slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics) -> Collector:
    return make_collector(slurm, spool, metrics)


def contents(spool: Spool) -> dict[int, bytes]:
    return {script.job_id: script.content for script in spool.batch(ALL)}


def test_a_scan_keeps_every_complete_script(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector, metrics: AgentMetrics
) -> None:
    slurm.submit(1)
    slurm.submit(12, b"caf\xe9\xff\n")
    slurm.begin(3, b"#!/bin/b")

    assert collector.scan()

    assert contents(spool) == {1: TEXT, 12: b"caf\xe9\xff\n"}
    assert collector.incomplete == {3}
    assert (value(metrics, "scripts_found_total"), value(metrics, "incomplete_scripts")) == (2, 1)
    assert value(metrics, "last_scan_timestamp_seconds") is not None


def test_an_empty_location_is_no_mistake(spool: Spool, collector: Collector) -> None:
    assert collector.scan()
    assert contents(spool) == {}


def test_a_script_says_when_it_was_written(slurm: FakeSlurmctld, spool: Spool, collector: Collector) -> None:
    os.utime(slurm.submit(1), ns=(0, 1_700_000_000_250_000_000))

    collector.scan()

    assert [script.written_at for script in spool.batch(ALL)] == [1_700_000_000.25]


def test_a_partial_script_is_kept_when_it_is_complete(slurm: FakeSlurmctld, spool: Spool, collector: Collector) -> None:
    slurm.begin(3, TEXT[:5])
    collector.scan()
    assert contents(spool) == {}

    slurm.submit(3)
    collector.look({3})

    assert contents(spool) == {3: TEXT}
    assert collector.incomplete == set()


def test_a_second_scan_finds_nothing_new(slurm: FakeSlurmctld, collector: Collector, metrics: AgentMetrics) -> None:
    slurm.submit(1)

    for _ in range(2):
        collector.scan()

    assert value(metrics, "scripts_found_total") == 1


def test_a_restart_does_not_send_everything_again(
    slurm: FakeSlurmctld, tmp_path: Path, collector: Collector, spool: Spool, metrics: AgentMetrics
) -> None:
    slurm.submit(1)
    collector.scan()
    spool.remove([script.key for script in spool.batch(ALL)])
    spool.close()

    spool.open()
    make_collector(slurm, spool, metrics).scan()

    assert contents(spool) == {}


def test_a_script_that_is_written_anew_is_kept_again(slurm: FakeSlurmctld, spool: Spool, collector: Collector) -> None:
    os.utime(slurm.submit(1), ns=(0, 1))
    collector.scan()

    os.utime(slurm.submit(1, b"other\n"), ns=(0, 2))
    collector.scan()

    assert [script.content for script in spool.batch(ALL)] == [TEXT, b"other\n"]


def test_a_job_that_vanished_is_forgotten_and_its_script_stays(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector
) -> None:
    slurm.submit(1)
    slurm.submit(11)
    collector.scan()
    slurm.purge(1)

    assert collector.scan()

    assert set(spool.seen) == {11}
    assert set(contents(spool)) == {1, 11}


def test_a_job_that_vanishes_before_it_is_read_is_nothing(spool: Spool, collector: Collector) -> None:
    collector.look({5})
    assert contents(spool) == {}
    assert collector.incomplete == set()


def test_a_location_that_is_not_mounted_forgets_nothing(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector
) -> None:
    slurm.submit(1)
    collector.scan()
    (slurm.root / "hash.1").rename(slurm.root / "away")

    assert collector.scan()

    assert set(spool.seen) == {1}


def test_a_location_that_cannot_be_read_is_said_once(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    slurm.submit(1)
    slurm.root.rename(slurm.root.with_name("away"))
    caplog.set_level(logging.INFO)

    assert [collector.scan(), collector.scan()] == [False, False]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"--slurm.state-save-location: cannot read {slurm.root}" in caplog.text

    slurm.root.with_name("away").rename(slurm.root)
    assert collector.scan()
    assert "read again" in caplog.text
    assert set(contents(spool)) == {1}


def test_secrets_are_hidden_before_they_are_spooled(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector, metrics: AgentMetrics, tmp_path: Path
) -> None:
    slurm.submit(1, b"export HF_TOKEN=hunter2\nPASSWORD=hunter2 x\n")

    collector.scan()

    script = spool.batch(ALL)[0]
    assert script.content == b"export HF_TOKEN=<redacted>\nPASSWORD=<redacted> x\n"
    assert (script.redactions, script.size) == (2, 43)
    assert value(metrics, "redactions_total", rule="secret_variable") == 2
    assert value(metrics, "redactions_total", rule="netrc") == 0
    assert not any(b"hunter2" in file.read_bytes() for file in (tmp_path / "spool").iterdir())


def test_a_long_script_is_cut_and_marked(slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics) -> None:
    collector = make_collector(slurm, spool, metrics, max_bytes=10)
    slurm.submit(1, b"0123456789")
    slurm.submit(2, b"0123456789a")

    collector.scan()

    found = {script.job_id: (script.content, script.size, script.truncated) for script in spool.batch(ALL)}
    assert found == {1: (b"0123456789", 10, False), 2: (b"0123456789", 11, True)}
    assert value(metrics, "truncated_total") == 1


def test_a_script_of_50_mb_does_not_come_into_memory(slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics) -> None:
    file = slurm.begin(1, b"#!/bin/bash\n" + b"echo some line\n" * 400_000)
    with file.open("r+b") as script:
        script.seek(50_000_000)
        script.write(b"\0")
    collector = make_collector(slurm, spool, metrics)
    tracemalloc.start()

    collector.scan()

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    script = spool.batch(ALL)[0]
    assert (len(script.content), script.size, script.truncated) == (4 * 2**20, 50_000_000, True)
    assert peak < 32 * 2**20


def test_a_full_spool_stops_reading_and_nothing_is_lost(
    slurm: FakeSlurmctld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool(make_settings(tmp_path, max_bytes=len(TEXT)).spool, "narval") as spool:
        metrics = AgentMetrics((), spool.status)
        collector = make_collector(slurm, spool, metrics, ())
        for job_id in (1, 2, 3):
            slurm.submit(job_id)
        seen: list[int] = []
        for _ in range(3):
            assert not collector.scan() or len(seen) == 2
            assert value(metrics, "spool_full") == (len(seen) < 2)
            batch = spool.batch(ALL)
            seen += [script.job_id for script in batch]
            spool.remove([script.key for script in batch])

    assert sorted(seen) == [1, 2, 3]
    assert caplog.text.count("--spool.max-bytes") == 1


def test_what_cannot_be_read_is_said_once_and_does_not_stop_the_others(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector, metrics: AgentMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    file = slurm.begin(1)
    file.unlink()
    file.symlink_to("/etc/passwd")
    slurm.submit(2)

    for _ in range(2):
        assert collector.scan()

    assert set(contents(spool)) == {2}
    assert caplog.text.count("script not read: job_id=1") == 1
    assert value(metrics, "unreadable_scripts") == 1
    slurm.purge(1)
    collector.scan()
    assert value(metrics, "unreadable_scripts") == 0


def test_a_folder_that_cannot_be_read_does_not_stop_the_others(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job_id in (1, 2, 3):
        slurm.submit(job_id)
    collector.scan()
    slurm.submit(13)
    scandir = os.scandir

    def closed(path: Path) -> object:
        if path == slurm.root / "hash.2":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)

    assert not collector.scan()

    assert collector.problem.endswith("hash.2: Permission denied")
    assert set(contents(spool)) == {1, 2, 3, 13}
    assert set(spool.seen) == {1, 2, 3, 13}, "nothing is forgotten that was not looked for"


def test_a_bug_in_redaction_keeps_the_script_here_and_the_others_go(
    slurm: FakeSlurmctld, spool: Spool, metrics: AgentMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    """A script whose secrets are not hidden must not leave."""

    class Broken(Rule):
        def spans(self, text: bytes) -> Iterator[tuple[int, int, str]]:
            if b"hunter2" in text:
                raise ValueError(text)
            return super().spans(text)

    collector = make_collector(slurm, spool, metrics, (Broken("broken", Pattern("(x{9})")),))
    slurm.submit(1, b"hunter2\n")
    slurm.submit(2)

    for _ in range(2):
        assert collector.scan()

    assert set(contents(spool)) == {2}
    assert value(metrics, "unreadable_scripts") == 1
    assert caplog.text.count("job_id=1 error=bug in redaction: ValueError") == 1
    assert "hunter2" not in caplog.text


def test_a_collector_that_is_stopped_reads_no_more(slurm: FakeSlurmctld, spool: Spool, collector: Collector) -> None:
    slurm.submit(1)
    collector.stop()

    assert not collector.scan()
    assert contents(spool) == {}


def test_a_scan_over_many_jobs_reads_each_once(
    slurm: FakeSlurmctld, spool: Spool, collector: Collector, metrics: AgentMetrics, record_property: object
) -> None:
    """The times are reported, not checked."""
    for job_id in range(1, 5001):
        slurm.submit(job_id)
    times = []
    for _ in range(2):
        started = time.monotonic()
        assert collector.scan()
        times.append(time.monotonic() - started)

    assert value(metrics, "scripts_found_total") == 5000
    assert callable(record_property)
    record_property("scan_seconds", times)
    print(f"5000 scripts: first scan {times[0]:.2f} s, second scan {times[1]:.2f} s")
