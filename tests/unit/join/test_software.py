"""Executables become software: the first pattern that is found, and the shares add up to what is measured."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.join.series import OTHERS
from aggregator.join.software import MOST_SHARES, directory_of, shares_of, software_of
from aggregator.model.series import Line
from aggregator.model.software import UNIDENTIFIED, Software

KNOWN = (
    Software("Python", re.compile(r"/python[0-9.]*$")),
    Software("Central", re.compile("^/cvmfs/")),
)
PATHS = st.sampled_from(
    ["/cvmfs/soft/bin/python3.11", "/cvmfs/soft/bin/gmx", "/home/alice/a.out", "relative", "", "/", "//x", '/o"\n/🚀']
)
POINTS = st.dictionaries(st.integers(0, 5).map(float), st.integers(0, 1000).map(float), max_size=5)
EXECUTABLES = st.lists(
    st.builds(lambda path, points: Line({"exe": path}, tuple(sorted(points.items()))), PATHS, POINTS), max_size=8
)
WHOLE = st.lists(st.builds(lambda points: Line({}, tuple(sorted(points.items()))), POINTS), max_size=2)


@pytest.mark.parametrize(
    ("path", "software", "directory"),
    [
        ("/cvmfs/soft/bin/python3.11", "Python", "/cvmfs"),
        ("/cvmfs/soft/bin/gmx", "Central", "/cvmfs"),
        ("/home/alice/bin/mine", UNIDENTIFIED, "/home"),
        ("/init", UNIDENTIFIED, ""),
        ("a.out", UNIDENTIFIED, ""),
        ("//cvmfs/x", UNIDENTIFIED, ""),
        ("", UNIDENTIFIED, ""),
    ],
)
def test_the_first_pattern_that_is_found_names_the_software_and_nobody_is_named(
    path: str, software: str, directory: str
) -> None:
    assert (software_of(path, KNOWN), directory_of(path)) == (software, directory)


@given(EXECUTABLES, WHOLE)
def test_shares_and_the_unaccounted_rest_are_the_measured_whole(executables: list[Line], whole: list[Line]) -> None:
    shares = shares_of(executables, whole, KNOWN)
    accounted = sum(share.value for share in shares.shares)
    times = {time for line in (*executables, *whole) for time, _ in line.points}
    used = sum(value for line in executables for _, value in line.points)
    assert accounted * max(1, len(times)) == pytest.approx(used)
    assert all(share.value > 0 for share in shares.shares)
    if shares.measured is None:
        assert (shares.unaccounted, any(line.points for line in whole)) == (None, False)
    else:
        assert accounted + (shares.unaccounted or 0.0) == pytest.approx(max(accounted, shares.measured))


def test_an_executable_that_ran_for_half_of_the_time_counts_half() -> None:
    shares = shares_of([Line({"exe": "/a/b"}, ((1.0, 8.0),))], [Line({}, ((1.0, 10.0), (2.0, 10.0)))], ())
    assert (shares.shares[0].value, shares.measured, shares.unaccounted) == (4.0, 10.0, 6.0)


def test_what_nobody_measured_is_not_zero() -> None:
    assert shares_of([], [], KNOWN) == ((), None)


def test_the_smallest_of_very_many_are_added_up() -> None:
    lines = [Line({"exe": f"/top{number}/x"}, ((1.0, 1.0 + number),)) for number in range(MOST_SHARES + 10)]
    shares = shares_of(lines, (), KNOWN).shares
    assert len(shares) == MOST_SHARES + 1
    assert shares[-1] == (OTHERS, "", sum(range(1, 11)))
