"""How the demo begins, and which cluster it is after a restart."""

from pathlib import Path

import pytest

from aggregator.app.demo import interval_of, running_since, timing_of, welcome
from aggregator.config import ListenAddress
from aggregator.synthetic import SyntheticCluster
from tests.pictures.album import ALBUM

NOW = 1_800_000_000.0
HOUR = 3600.0


def test_after_a_restart_it_is_the_same_cluster(tmp_path: Path) -> None:
    since = running_since(tmp_path, 1, 900, NOW)
    assert since == NOW - 4 * HOUR
    assert running_since(tmp_path, 1, 900, NOW + 11 * HOUR) == since


@pytest.mark.parametrize(
    ("seed", "jobs", "later"),
    [(2, 900, 60.0), (1, 901, 60.0), (1, 900, 13 * HOUR), (1, 900, -5 * HOUR)],
)
def test_another_seed_or_size_or_one_that_began_too_long_ago_begins_anew(
    tmp_path: Path, seed: int, jobs: int, later: float
) -> None:
    running_since(tmp_path, 1, 900, NOW)
    since = running_since(tmp_path, seed, jobs, NOW + later)
    assert since == NOW + later - 4 * HOUR
    assert running_since(tmp_path, seed, jobs, NOW + later + 1) == since


@pytest.mark.parametrize("kept", ["", "[]", "null", '{"seed": 1}', '{"seed": 1, "jobs": 900, "since": "soon"}', "\0"])
def test_a_file_that_is_not_its_own_is_replaced(tmp_path: Path, kept: str) -> None:
    (tmp_path / "demo.json").write_text(kept)
    since = running_since(tmp_path, 1, 900, NOW)
    assert running_since(tmp_path, 1, 900, NOW + 1) == since == NOW - 4 * HOUR


def test_a_large_site_has_a_shorter_past_and_is_refreshed_less_often(tmp_path: Path) -> None:
    assert running_since(tmp_path, 1, 20_000, NOW) == NOW - HOUR / 4
    assert running_since(tmp_path, 1, 20_000, NOW + HOUR / 2) == NOW - HOUR / 4
    assert running_since(tmp_path, 1, 20_000, NOW + HOUR) == NOW + HOUR * 3 / 4
    assert [interval_of(jobs) for jobs in (1, 900, 5000, 5001, 100_000)] == [5.0, 5.0, 5.0, 30.0, 30.0]
    assert timing_of(900).backfill == 3.5 * HOUR
    assert timing_of(20_000).backfill < HOUR / 4


@pytest.mark.parametrize("jobs", [60, 300])
def test_it_says_first_which_pages_to_open_and_one_is_of_a_job_that_wastes_its_gpus(jobs: int) -> None:
    cluster = SyntheticCluster(running=jobs, start=NOW)
    lines = welcome(ListenAddress("127.0.0.1", 9850), 5.0, cluster).splitlines()
    addresses = [line.split()[-1] for line in lines if "http" in line]
    assert addresses[0] == "http://127.0.0.1:9850/"
    assert addresses[-1] == "http://127.0.0.1:9850/metrics"
    (wasting,) = (line.rpartition("/")[2] for line in lines if "wastes its GPUs" in line)
    assert [run.name for run in cluster.open_runs() if str(run.job_id) == wasting] == ["train_ddp"]
    assert {words for words, _ in ALBUM.values()} <= {line.strip().rpartition(" ")[0].strip() for line in lines}
    assert len([each for each in addresses if "/ui/clusters/demo/jobs/" in each]) == 6
