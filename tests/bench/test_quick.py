"""`make bench` can measure every row: what it found on a machine that does something else beside it says nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.measures import MEASURES

pytestmark = pytest.mark.mariadb
ROOT = Path(__file__).parents[2]
# Where there is no query-exporter, its rows say so.
PEER = {"peer_scrape", "peer_memory"}


# How long it takes is the machine's affair.
@pytest.mark.timeout(1200)
def test_every_row_is_printed_with_its_numbers(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.bench", "--quick", f"--json={file}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(file.read_text())
    rows = {row["key"]: row for row in result["rows"]}
    assert [*rows] == [each.key for each in MEASURES]
    for each in MEASURES:
        row = rows[each.key]
        assert row["ours"] is not None, row
        assert each.name in done.stdout
        if each.reference and each.key not in PEER:
            assert row["reference"] is not None, row
        assert "FAILED" not in row["note"], row
    assert [point["jobs"] for point in result["curve"]] == [100, 300]
    assert all(point["samples"] > 0 and point["seconds"] > 0 for point in result["curve"])
