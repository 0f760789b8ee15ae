"""A program that runs by a pinned clock, as both editions do."""

import os
import subprocess
import sys
from pathlib import Path

from tests.clock import PINNED, Clock

PROGRAM = """
import asyncio, sys, time
from time import time as imported

print(time.time(), imported(), time.time_ns(), sys.argv[1:], flush=True)
# Days of the loop's time.
asyncio.run(asyncio.sleep(500_000))
sys.stdin.readline()
print(time.time(), __name__)
"""


def test_the_time_is_what_the_file_says_until_it_is_set(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    clock = Clock(tmp_path / "clock", 1_700_000_000.25)
    command = [sys.executable, "-P", str(PINNED), str(clock.path), "1e7", "program", "--flag", "x"]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        said = process.stdout.readline()
        assert said == "1700000000.25 1700000000.25 1700000000250000000 ['--flag', 'x']\n"
        clock.set(1_700_003_600.0)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "1700003600.0 __main__\n"
