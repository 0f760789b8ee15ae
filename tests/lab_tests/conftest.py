"""One lab with the service in front, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.lab import Lab, wait_until
from tests.lab.service import Service


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab() as started:
        yield started


@pytest.fixture(scope="session")
def service(lab: Lab) -> Iterator[Service]:
    started = Service(lab, lab.write_config(lab.root / "config.yml"))
    started.start()
    # The last to be known: its slope must not reach back into the run before the requeue.
    requeued = str(lab.jobs["requeued"])
    wait_until(lambda: started.value("hpc_job_used_cpus", slurmjobid=requeued) is not None, 60, "the joined use")
    yield started
    started.stop()
