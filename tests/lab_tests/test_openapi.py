"""The whole OpenAPI document against the running service: schemathesis finds nothing, on real databases."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.service import Service

pytestmark = pytest.mark.lab

HOOKS = "tests.lab_tests.openapi_hooks"
ROOT = Path(__file__).parents[2]
SEED = 20261130
# In each of the two phases that draw; `examples` and `coverage` try every keyword of every parameter once.
EXAMPLES = 5
PHASES = "examples,coverage,fuzzing"
MANY = 5000


@pytest.fixture(scope="module")
def config(lab: Lab) -> Path:
    """Say which things there are; the rest is drawn."""
    file = lab.root / "schemathesis.toml"
    file.write_text(
        f"""
[checks]
positive_data_acceptance.enabled = false  # openapi_hooks.py has it with what a document cannot say
# A source that does not answer in time, on a busy machine, is no bug.
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503, 504]

[parameters]
"path.cluster" = "lab"
"path.filesystem" = "project"
"path.job_id" = {lab.jobs["plain"]}
"path.user" = "alice"

[[operations]]
include-name = "POST /-/reload"
enabled = false

# One wrong script does not make the others of a batch fail: the answer says what is wrong with it.
[[operations]]
include-name = "POST /api/v1/clusters/{{cluster}}/jobscripts"
checks.negative_data_rejection.enabled = false
"""
    )
    return file


def test_no_request_gets_an_answer_that_is_not_declared(lab: Lab, service: Service, config: Path) -> None:
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{service.url}/openapi.json",
        f"--phases={PHASES}", f"--max-examples={EXAMPLES}", f"--seed={SEED}", "--generation-deterministic",
        "--continue-on-failure", "--no-color",
        "--suppress-health-check=all",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=lab.root, env={**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    (tested,) = re.findall(r"Tested: (\d+)", done.stdout)
    (cases,) = re.findall(r"(\d+) generated", done.stdout)
    assert int(tested) > 50
    assert int(cases) > MANY
