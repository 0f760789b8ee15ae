"""The budget of series goes on over a reload, and the service says what it costs."""

import gzip
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from aggregator.app.layouts import CLOUDS, FAMILIES
from aggregator.engine.frame import Frames, frame_of
from aggregator.exposition import Budget, Page
from aggregator.parts.cloud.columns import INSTANCES


def frames_of(**vcpus: float) -> Frames:
    instances = {"uuid": list(vcpus), "project": ["p"] * len(vcpus), "vcpus": list(vcpus.values())}
    return {**CLOUDS.empty(), "instances": frame_of(INSTANCES, instances)}


def vcpus_of(budget: Budget, frames: Frames) -> list[str]:
    member = budget.render("arbutus", frames)["hpc_instance_vcpus"]
    return sorted(
        line.split('uuid="')[1].split('"')[0] for line in gzip.decompress(b"".join(member.pieces)).decode().splitlines()
    )


def test_who_takes_over_goes_on_with_what_was_shown_within_its_own_limits() -> None:
    before, one, two = (Budget(CLOUDS, {"cloud": limit}) for limit in (1, 1, 2))
    vcpus_of(before, frames_of(a=8, b=4, c=2))
    for budget in (one, two):
        budget.take_over(before)
    # Too little for the place of another.
    grown = frames_of(a=8, b=8.5, c=2)
    assert vcpus_of(one, grown) == ["_other", "a"]
    assert vcpus_of(two, grown) == ["_other", "a", "b"]
    assert vcpus_of(Budget(CLOUDS, {"cloud": 1}), grown) == ["_other", "b"]


_ROWS = st.dictionaries(st.sampled_from(["a", "b", 'c"']), st.sampled_from([None, 1.0, 2.0, float("inf")]))


@given(refreshes=st.lists(st.tuples(st.sampled_from(["arbutus", "beluga"]), _ROWS), max_size=5))
def test_what_was_written_before_shows_nowhere(refreshes: Sequence[tuple[str, dict[str, float]]]) -> None:
    budget = Budget(CLOUDS, {})
    for cloud, rows in refreshes:
        assert budget.render(cloud, frames_of(**rows)) == CLOUDS.render(cloud, frames_of(**rows))


def test_a_family_is_not_written_again_while_its_rows_and_values_are_the_same() -> None:
    budget = Budget(CLOUDS, {})
    names = ("hpc_instance_info", "hpc_instance_vcpus")
    first, second, third = (budget.render("arbutus", frames_of(**rows)) for rows in ({"a": 1}, {"a": 2}, {"b": 2}))
    kept = [second[name].pieces[0] is first[name].pieces[0] for name in names]
    assert kept == [True, False]
    assert not any(third[name].pieces[0] is second[name].pieces[0] for name in names)


def test_series_that_are_missing_are_counted_by_family() -> None:
    page = Page((), FAMILIES)
    for cloud, limit in (("arbutus", 1), ("beluga", 2), ("cedar", 3)):
        members = Budget(CLOUDS, {"cloud": limit}).render(cloud, frames_of(a=8, b=4, c=2))
        page.publish(("cloud", cloud), members)
    assert page.folded() == {"hpc_instance_info": 3, "hpc_instance_vcpus": 3}
    assert page.series()["hpc_instance_vcpus"] == 2 + 3 + 3
