"""Identities on the page of a service that has caught up over hours."""

import pytest

from tests.identities import problems
from tests.simulation.said import Said

# All of the simulation in one worker: it is made once.
pytestmark = [pytest.mark.xdist_group("simulation"), pytest.mark.timeout(900)]


def test_everything_adds_up(said: Said) -> None:
    assert problems(said.page) == []
