"""Identities on the page of a service that has caught up over hours."""

from tests.identities import problems
from tests.simulation.said import Said


def test_everything_adds_up(said: Said) -> None:
    assert problems(said.page) == []
