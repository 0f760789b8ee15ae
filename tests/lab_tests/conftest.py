"""One lab with the service in front, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.lab.service import Service
from tests.lab.site import EXPORTERS, site_sections


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab() as started:
        yield started


@pytest.fixture(scope="session")
def service(lab: Lab) -> Iterator[Service]:
    config = lab.write_config(lab.root / "config.yml", exporters=EXPORTERS, extra=site_sections(lab.root))
    started = Service(lab, config)
    # The last to be known: its slope must not reach back into the run before the requeue.
    started.start_and_join(lab.jobs["requeued"])
    yield started
    started.stop()
