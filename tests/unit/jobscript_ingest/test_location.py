"""Scripts are read whole or not at all, and nothing that lies in their place is trusted."""

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from jobscript_ingest.location import Incomplete, StateSaveLocation, Unreadable, job_id_of
from tests.unit.jobscript_ingest.builders import TEXT, FakeSlurmctld

LIMIT = 2**22


@pytest.fixture
def location(slurm: FakeSlurmctld) -> StateSaveLocation:
    return StateSaveLocation(slurm.root)


def found(location: StateSaveLocation) -> set[int]:
    return {job_id for folder in location.folders() for job_id, _ in location.versions(folder)}


def test_every_job_folder_is_found(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    for job_id in (1, 11, 10, 4_294_967_295):
        slurm.submit(job_id)

    assert found(location) == {1, 11, 10, 4_294_967_295}


def test_an_empty_location_has_none(location: StateSaveLocation) -> None:
    assert found(location) == set()


@pytest.mark.parametrize("name", ["job.", "job.x", "job.01", "job.-1", "job.2", "job.1.old", "jobs.1", "job.1\n"])
def test_other_names_are_not_jobs(slurm: FakeSlurmctld, location: StateSaveLocation, name: str) -> None:
    """A job that lies in another's hash folder is none of Slurm's."""
    (slurm.root / "hash.1" / name).mkdir(parents=True)

    assert found(location) == set()


def test_other_folders_are_not_hash_folders(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    for name in ("hash.10", "hash.x", "other"):
        (slurm.root / name / "job.1").mkdir(parents=True)
    (slurm.root / "hash.2").write_text("a file")

    assert location.folders() == {}


def test_a_job_id_is_read_from_its_folder() -> None:
    assert job_id_of(Path("/s/hash.3/job.123")) == 123
    assert job_id_of(Path("/s/hash.3/job.123/script")) is None


def test_a_complete_script_ends_before_its_nul(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    slurm.submit(7)

    raw = location.read(7, LIMIT)

    assert raw is not None
    assert (raw.job_id, raw.head, raw.size) == (7, TEXT, len(TEXT))


def test_any_bytes_are_kept(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    slurm.submit(7, b"caf\xe9 \xff\xfe\r\n\x01")

    raw = location.read(7, LIMIT)

    assert raw is not None
    assert raw.head == b"caf\xe9 \xff\xfe\r\n\x01"


def test_a_nul_in_the_middle_ends_the_script(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    slurm.submit(7, b"before\0after")

    raw = location.read(7, LIMIT)

    assert raw is not None
    assert (raw.head, raw.size) == (b"before", 6)


@pytest.mark.parametrize("text", [b"", b"#!/bin/bash\n", b"half\0of it"])
def test_a_script_without_its_trailing_nul_is_incomplete(
    slurm: FakeSlurmctld, location: StateSaveLocation, text: bytes
) -> None:
    slurm.begin(7, text)

    with pytest.raises(Incomplete):
        location.read(7, LIMIT)


def test_a_script_that_shrinks_while_it_is_read_is_incomplete(
    slurm: FakeSlurmctld, location: StateSaveLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = slurm.submit(7)
    pread = os.pread

    def pread_and_truncate(descriptor: int, length: int, offset: int) -> bytes:
        data = pread(descriptor, length, offset)
        os.truncate(file, 0)
        return data

    monkeypatch.setattr(os, "pread", pread_and_truncate)

    with pytest.raises(Incomplete):
        location.read(7, LIMIT)


def test_a_script_that_vanishes_while_it_is_read_is_read_whole(
    slurm: FakeSlurmctld, location: StateSaveLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm.submit(7)

    def purge_and_fstat(descriptor: int) -> os.stat_result:
        monkeypatch.undo()
        slurm.purge(7)
        return os.fstat(descriptor)

    monkeypatch.setattr(os, "fstat", purge_and_fstat)

    raw = location.read(7, LIMIT)
    assert raw is not None
    assert raw.head == TEXT


def test_a_folder_without_its_script_is_incomplete(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    """slurmctld writes the environment first."""
    slurm.begin(7).unlink()

    with pytest.raises(Incomplete):
        location.read(7, LIMIT)


def test_a_job_that_is_gone_has_no_script(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    assert location.read(7, LIMIT) is None
    slurm.submit(7)
    slurm.purge(7)
    assert location.read(7, LIMIT) is None


def test_a_long_script_is_read_to_the_limit_only(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    slurm.submit_sparse(7, 50_000_000)
    tracemalloc.start()

    raw = location.read(7, 1_000_000)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raw is not None
    assert (len(raw.head), raw.size) == (1_000_000, 50_000_000)
    assert peak < 4_000_000


def test_a_version_tells_what_was_written_anew(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    file = slurm.submit(7)
    before = dict(location.versions(file.parents[1]))
    os.utime(file, ns=(0, 1))

    assert before != dict(location.versions(file.parents[1]))


def plant_link(file: Path, target: Path) -> None:
    file.symlink_to(target)


def plant_fifo(file: Path, target: Path) -> None:
    os.mkfifo(file)


def plant_folder(file: Path, target: Path) -> None:
    file.mkdir()


def plant_socket(file: Path, target: Path) -> None:
    # Its path is limited to 108 bytes, which a test's folder may exceed.
    here = os.getcwd()
    os.chdir(file.parent)
    try:
        with socket.socket(socket.AF_UNIX) as planted:
            planted.bind(file.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("plant", [plant_link, plant_fifo, plant_folder, plant_socket])
def test_what_is_planted_in_the_scripts_place_is_not_followed(
    slurm: FakeSlurmctld, location: StateSaveLocation, tmp_path: Path, plant: object
) -> None:
    target = tmp_path / "shadow"
    target.write_bytes(b"root:secret\0")
    file = slurm.begin(7)
    file.unlink()
    assert callable(plant)
    plant(file, target)

    with pytest.raises(Unreadable, match=r"odd file|not a regular file"):
        location.read(7, LIMIT)


def test_a_link_in_the_place_of_a_folder_is_not_followed(
    slurm: FakeSlurmctld, location: StateSaveLocation, tmp_path: Path
) -> None:
    elsewhere = FakeSlurmctld(tmp_path / "elsewhere")
    elsewhere.submit(7)
    (slurm.root / "hash.7").symlink_to(elsewhere.root / "hash.7")
    assert found(location) == set()
    with pytest.raises(Unreadable, match="not followed"):
        location.read(7, LIMIT)

    elsewhere.submit(8)
    (slurm.root / "hash.8").mkdir()
    (slurm.root / "hash.8" / "job.8").symlink_to(elsewhere.folder(8))
    with pytest.raises(Unreadable, match="not followed"):
        location.read(8, LIMIT)


def test_reading_leaves_no_file_open(slurm: FakeSlurmctld, location: StateSaveLocation) -> None:
    slurm.submit(7)
    slurm.begin(8)
    before = len(os.listdir("/proc/self/fd"))

    for job_id in (7, 8, 9):
        try:
            location.read(job_id, LIMIT)
        except Incomplete:
            assert job_id == 8

    assert len(os.listdir("/proc/self/fd")) == before
