"""Identities on the page of a service that has caught up over hours, scrape after scrape."""

from tests.identities import Page, problems, steps_back
from tests.lab.process import wait_until
from tests.simulation.said import Said
from tests.simulation.site import Catching


def test_everything_adds_up(said: Said) -> None:
    assert problems(said.page) == []


def test_no_counter_goes_back_when_a_window_closes(said: Said, caught_up: Catching) -> None:
    wait_until(lambda: caught_up.ledger_end() > said.end, 150, "one window more")
    later = Page.asked(caught_up.service)
    assert steps_back(said.page, later) == []
    assert problems(later) == []
