"""The last good value of each input."""

from aggregator.sources.prometheus.memory import LastGood


def test_a_missing_input_is_as_it_last_was_until_patience_ends() -> None:
    kept: LastGood[int] = LastGood(60.0)
    kept.fill(0.0, ("a", "b"), {"a": 1, "b": 2})
    for at, values, oldest in ((60.0, {"a": 3, "b": 2}, 0.0), (61.0, {"a": 3}, None)):
        found = kept.fill(at, ("a", "b"), {"a": 3})
        assert (found.values, found.oldest) == (values, oldest)


def test_inputs_that_mean_nothing_alone_are_of_one_time() -> None:
    kept: LastGood[int] = LastGood(60.0, (frozenset(("a", "b")),))
    kept.fill(0.0, ("a", "b", "c"), {"a": 1, "b": 2, "c": 3})
    assert kept.fill(9.0, ("a", "b", "c"), {"a": 7, "c": 8}).values == {"a": 1, "b": 2, "c": 8}
    assert kept.fill(99.0, ("a", "b", "c"), {"a": 7, "c": 8}).values == {"a": 7, "c": 8}


def test_an_answer_without_anything_is_not_kept() -> None:
    kept: LastGood[dict[str, int]] = LastGood(60.0)
    kept.fill(0.0, ("a", "b"), {"a": {"x": 1}, "b": {"x": 1}})
    kept.fill(1.0, ("a", "b"), {"a": {}, "b": {}})
    assert kept.fill(2.0, ("a", "b"), {"a": {}}).values == {"a": {}, "b": {"x": 1}}


def test_what_comes_from_the_future_is_not_given() -> None:
    kept: LastGood[int] = LastGood(60.0)
    kept.fill(100.0, ("a",), {"a": 1})
    assert kept.fill(50.0, ("a",), {}).values == {}
