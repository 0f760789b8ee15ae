"""At which times a graph is evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.series import MAX_POINTS, Span
from aggregator.queries.series import MOST_POINTS, SHOWN_POINTS, TooManyPointsError, plan

NOW = 1.8e9


@given(st.floats(0, 4e7), st.floats(1, 600))
def test_a_step_of_our_choice_gives_a_graph_and_not_more_than_was_scraped(length: float, interval: float) -> None:
    span = plan(NOW - length, NOW, None, interval)
    assert span.points <= SHOWN_POINTS + 1
    assert span.step >= interval


@given(st.floats(0, 1e6), st.integers(1, 600))
def test_every_time_is_within_the_range_and_a_multiple_of_the_step(length: float, step: int) -> None:
    """So that graphs of one hour apart share their points."""
    try:
        span = plan(NOW - length, NOW, float(step), 30.0)
    except TooManyPointsError:
        assert length / step > MOST_POINTS - 1
        return
    assert NOW - length <= span.start <= span.end <= NOW
    assert span.points == 1 or span.start % step == 0


def test_more_points_than_can_be_drawn_are_refused_with_a_step_that_will_do() -> None:
    with pytest.raises(TooManyPointsError, match="step of 11s or more"):
        plan(NOW - 10 * MOST_POINTS, NOW, 1.0, 30.0)
    assert plan(NOW - 10 * MOST_POINTS, NOW, 11.0, 30.0).points <= MOST_POINTS


def test_a_range_shorter_than_a_step_has_its_end() -> None:
    assert plan(NOW - 5, NOW, 86_399.0, 30.0) == Span(NOW, NOW, 86_399.0)


@given(st.integers(1, 60_000), st.integers(1, 700))
def test_chunks_have_the_same_times_and_none_more_points_than_prometheus_answers(points: int, step: int) -> None:
    span = Span(NOW, NOW + (points - 1) * step + step / 2, float(step))
    chunks = list(span.chunks())
    assert sum(chunk.points for chunk in chunks) == span.points == points
    assert all(chunk.points <= MAX_POINTS for chunk in chunks)
    assert [chunk.start for chunk in chunks[1:]] == [chunk.end + step for chunk in chunks[:-1]]
