"""One simulated site for all tests of this folder, which ends with them, and what its service says once caught up."""

from collections.abc import Iterator

import pytest

from tests.lab.mariadb import MariaDB
from tests.simulation.said import Said, listen
from tests.simulation.site import Catching, Simulation, simulate


@pytest.fixture(scope="package")
def simulation(mariadb: MariaDB) -> Iterator[Simulation]:
    with simulate(mariadb) as made:
        yield made


@pytest.fixture(scope="package")
def caught_up(simulation: Simulation) -> Iterator[Catching]:
    """Give a service that was never interrupted."""
    with simulation.serve("uninterrupted") as service:
        service.catch_up()
        yield service


@pytest.fixture(scope="package")
def said(simulation: Simulation, caught_up: Catching) -> Said:
    return listen(simulation, caught_up)
