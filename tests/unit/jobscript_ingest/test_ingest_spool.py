"""What is in the spool is never lost, and never more than it may hold."""

from pathlib import Path

import pytest

from jobscript_ingest.script import Version
from jobscript_ingest.settings import BatchLimits, FlagError, SpoolSettings
from jobscript_ingest.spool import Spool, SpoolError, SpoolFull, SpoolStatus
from tests.unit.jobscript_ingest.builders import TEXT, make_script, make_settings

VERSION = Version(1, 2, 3)
ALL = BatchLimits(1000, 2**30)


@pytest.fixture
def small(tmp_path: Path) -> SpoolSettings:
    return make_settings(tmp_path, max_bytes=100).spool


def job_ids(spool: Spool, limits: BatchLimits = ALL) -> list[int]:
    return [script.job_id for script in spool.batch(limits)]


def test_an_empty_spool_has_nothing_to_send(spool: Spool) -> None:
    assert spool.batch(ALL) == []
    assert spool.status() == SpoolStatus(0, 0, 0, None)


def test_a_script_comes_out_as_it_went_in(spool: Spool) -> None:
    script = make_script(5, b"caf\xe9\xff", size=77, truncated=True, redactions=3)

    assert spool.add(script, VERSION)

    assert spool.batch(ALL) == [script]
    status = spool.status()
    assert (status.unsent, status.refused, status.content_bytes) == (1, 0, 5)
    assert status.oldest_unsent is not None


def test_what_was_added_survives_without_a_close(tmp_path: Path) -> None:
    """The file alone is what a killed agent leaves."""
    settings = make_settings(tmp_path).spool
    spool = Spool(settings, "narval")
    spool.open()
    spool.add(make_script(5), VERSION)
    copy = tmp_path / "copy.db"
    for suffix in ("", "-wal"):
        Path(f"{copy}{suffix}").write_bytes(Path(f"{settings.path}{suffix}").read_bytes())
    spool.close()

    with Spool(SpoolSettings(copy), "narval") as again:
        assert job_ids(again) == [5]
        assert again.has_seen(5, VERSION)


def test_a_removed_script_is_seen_still_and_frees_its_bytes(spool: Spool) -> None:
    script = make_script(5)
    spool.add(script, VERSION)

    spool.remove([script.key])

    assert (job_ids(spool), spool.status().content_bytes) == ([], 0)
    assert spool.has_seen(5, VERSION)
    assert not spool.has_seen(5, Version(1, 2, 4))
    assert not spool.has_seen(6, VERSION)


def test_the_same_content_of_the_same_writing_is_kept_once(spool: Spool) -> None:
    """The inode may change, when the location is moved."""
    assert spool.add(make_script(5), VERSION)

    assert not spool.add(make_script(5), Version(9, 2, 3))

    assert job_ids(spool) == [5]
    assert spool.has_seen(5, Version(9, 2, 3))


def test_the_same_content_written_anew_is_sent_again(spool: Spool) -> None:
    """Slurm may use a job id again, and the time tells the runs apart."""
    spool.add(make_script(5, written_at=1.0), VERSION)

    assert spool.add(make_script(5, written_at=9.0), Version(1, 9, 3))

    assert [script.written_at for script in spool.batch(ALL)] == [9.0]
    assert spool.status().content_bytes == len(TEXT)


def test_other_content_of_a_job_is_kept_beside_the_first(spool: Spool) -> None:
    spool.add(make_script(5, b"a"), VERSION)
    spool.add(make_script(5, b"b"), Version(1, 9, 3))

    assert [script.content for script in spool.batch(ALL)] == [b"a", b"b"]


def test_the_oldest_come_first_and_within_the_limits(spool: Spool) -> None:
    for job_id in (3, 1, 2):
        spool.add(make_script(job_id, b"x" * 10), VERSION)

    assert job_ids(spool) == [3, 1, 2]
    assert job_ids(spool, BatchLimits(2, 2**30)) == [3, 1]
    assert job_ids(spool, BatchLimits(100, 20)) == [3, 1]
    assert job_ids(spool, BatchLimits(100, 5)) == [3], "one that is longer than the limit goes alone"


def test_a_postponed_script_lets_others_go_first(spool: Spool) -> None:
    for job_id in (1, 2):
        spool.add(make_script(job_id), VERSION)

    spool.postpone([make_script(1).key])

    assert job_ids(spool) == [2, 1]


def test_a_refused_script_is_kept_and_not_sent(spool: Spool) -> None:
    script = make_script(5)
    spool.add(script, VERSION)

    spool.refuse({script.key: 'too "large"\n'})

    assert job_ids(spool) == []
    assert (spool.status().unsent, spool.status().refused) == (0, 1)
    assert spool.drop_refused() == 0


def test_a_refused_script_goes_after_its_retention(tmp_path: Path) -> None:
    with Spool(make_settings(tmp_path, refused_retention=-1.0).spool, "narval") as spool:
        for job_id in (5, 6):
            spool.add(make_script(job_id), VERSION)
        spool.refuse({make_script(5).key: "x"})

        assert spool.drop_refused() == 1
        assert job_ids(spool) == [6]


def test_a_full_spool_takes_nothing_and_loses_nothing(small: SpoolSettings) -> None:
    with Spool(small, "narval") as spool:
        spool.add(make_script(1, b"x" * 60), VERSION)

        with pytest.raises(SpoolFull):
            spool.add(make_script(2, b"y" * 60), VERSION)

        assert job_ids(spool) == [1]
        assert not spool.has_seen(2, VERSION), "it is read again when there is room"
        spool.remove([make_script(1, b"x" * 60).key])
        assert spool.add(make_script(2, b"y" * 60), VERSION)


def test_refused_scripts_make_room_the_oldest_first(small: SpoolSettings) -> None:
    with Spool(small, "narval") as spool:
        for job_id in (1, 2):
            spool.add(make_script(job_id, b"%d" % job_id * 40), VERSION)
            spool.refuse({make_script(job_id, b"%d" % job_id * 40).key: "x"})

        spool.add(make_script(3, b"3" * 40), VERSION)

        assert (spool.status().unsent, spool.status().refused, spool.status().content_bytes) == (1, 1, 80)


def test_a_forgotten_job_would_be_sent_again(spool: Spool) -> None:
    for job_id in (5, 6):
        spool.add(make_script(job_id), VERSION)

    spool.forget({5})

    assert set(spool.seen) == {6}
    assert not spool.has_seen(5, VERSION)
    assert job_ids(spool) == [5, 6], "what was not sent yet is sent still"


def test_others_cannot_read_the_spool(spool: Spool, tmp_path: Path) -> None:
    """It holds the scripts of all users."""
    spool.add(make_script(5), VERSION)

    for file in (tmp_path / "spool").iterdir():
        assert file.stat().st_mode & 0o077 == 0


def test_a_second_agent_is_kept_away(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(FlagError, match=r"^--spool\.path: .*another hpc-jobscript-ingest uses it$"):
        Spool(SpoolSettings(tmp_path / "spool" / "spool.db"), "narval").open()


def test_the_spool_of_another_cluster_is_refused(tmp_path: Path) -> None:
    settings = make_settings(tmp_path).spool
    with Spool(settings, "narval"):
        pass

    with pytest.raises(FlagError, match="holds the scripts of cluster narval, not of beluga"):
        Spool(settings, "beluga").open()


@pytest.mark.parametrize("kind", ["folder", "no database", "below a file"])
def test_a_path_that_cannot_be_used_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "no database":
        path.write_text("nothing of SQLite's " * 100)
    else:
        path.touch()
        path = path / "spool.db"

    with pytest.raises(FlagError, match=rf"^--spool\.path: cannot use {path}: "):
        Spool(SpoolSettings(path), "narval").open()


def test_an_error_of_the_file_names_it(spool: Spool) -> None:
    spool.close()

    with pytest.raises(SpoolError, match=r"^--spool\.path: .*spool\.db: "):
        spool.add(make_script(5), VERSION)
    spool.open()


def test_a_script_that_could_not_be_added_is_not_seen(spool: Spool) -> None:
    """A fault between the two must not lose it."""
    spool._connection.execute("CREATE TRIGGER fault BEFORE INSERT ON seen BEGIN SELECT raise(ABORT, 'disk'); END")

    with pytest.raises(SpoolError, match="disk"):
        spool.add(make_script(5), VERSION)

    assert (job_ids(spool), dict(spool.seen), spool.status().content_bytes) == ([], {}, 0)
