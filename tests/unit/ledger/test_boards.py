"""A board that several jobs share counts once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.ledger.boards import Viewer, own_gpu_watts

WINDOW = 60.0


def joules(*viewers: Viewer) -> float:
    own = own_gpu_watts(viewers, WINDOW)
    return sum((watts or 0.0) * viewer.seconds for watts, viewer in zip(own, viewers, strict=True))


def test_four_jobs_on_one_board_have_a_quarter_each() -> None:
    assert own_gpu_watts([Viewer(WINDOW, 0.0, [400.0])] * 4, WINDOW) == [100.0] * 4


def test_boards_of_different_power_are_different_boards() -> None:
    viewers = [Viewer(WINDOW, 0.0, [400.0]), Viewer(WINDOW, 0.0, [300.0]), Viewer(WINDOW, 0.0, [300.0])]

    assert own_gpu_watts(viewers, WINDOW) == [400.0, 150.0, 150.0]


def test_whole_boards_are_not_shared_though_they_draw_the_same() -> None:
    assert own_gpu_watts([Viewer(WINDOW, 1.0, [300.0])] * 2, WINDOW) == [300.0, 300.0]


def test_two_boards_of_one_job_are_two() -> None:
    assert own_gpu_watts([Viewer(WINDOW, 0.0, [50.0, 50.0]), Viewer(WINDOW, 0.0, [50.0])], WINDOW) == [75.0, 25.0]


def test_a_job_that_sees_no_gpu_has_none() -> None:
    assert own_gpu_watts([Viewer(WINDOW, 1.0), Viewer(WINDOW, 0.0, [300.0])], WINDOW) == [None, 300.0]


def test_one_that_came_later_sees_the_board_of_the_others() -> None:
    assert joules(Viewer(WINDOW, 0.0, [400.0]), Viewer(30.0, 0.0, [410.0])) == pytest.approx(400.0 * WINDOW)


@given(st.lists(st.floats(1.0, WINDOW), min_size=1, max_size=6), st.floats(1.0, 1000.0))
def test_a_shared_board_never_has_more_than_its_energy(seconds: list[float], watts: float) -> None:
    viewers = [Viewer(each, 0.0, [watts]) for each in seconds]

    assert joules(*viewers) <= watts * WINDOW * (1 + 1e-9)
