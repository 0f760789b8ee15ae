"""Which part of a span is still to be asked for, when some of its moments are known."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.series import left_of, moment, without
from aggregator.model.series import Line, Span

SPANS = st.builds(
    lambda start, step, points: Span(float(start), float(start + step * points), float(step)),
    st.integers(1_600_000_000, 1_800_000_000), st.integers(1, 86_400), st.integers(0, 50),
)  # fmt: skip


def times(span: Span) -> list[float]:
    return [span.start + index * span.step for index in range(span.points)]


@given(SPANS, st.data())
def test_what_is_left_is_the_shortest_part_with_all_moments_that_are_not_known(span: Span, data: st.DataObject) -> None:
    known = data.draw(st.sets(st.sampled_from(times(span))))
    missing = [time for time in times(span) if time not in known]
    left = left_of(span, {moment(time) for time in known})
    if left is None:
        assert missing == []
    else:
        assert (left.start, left.end, left.step) == (missing[0], missing[-1], span.step)
        assert set(missing) <= set(times(left)) <= set(times(span))


@given(SPANS, st.data())
def test_a_line_without_the_known_moments_has_all_its_others(span: Span, data: st.DataObject) -> None:
    known = data.draw(st.sets(st.sampled_from(times(span))))
    line = Line({"user": 'b"\n\N{ROCKET}'}, tuple((time, 1.0) for time in times(span)))
    # Milliseconds as Prometheus answers with them, not the very same floats.
    moments = {moment(time + 0.0001) for time in known}
    kept = without([line], moments)
    assert [time for each in kept for time, _ in each.points] == [time for time in times(span) if time not in known]
    assert all(each.labels == line.labels for each in kept)


def test_of_nothing_known_everything_is_left() -> None:
    span = Span(10.0, 20.0, 5.0)
    assert left_of(span, set()) == span
    assert without([], {1}) == []
