"""docs/compatibility.md says what each release offers, as the schemas of the releases have it."""

import re
from itertools import pairwise
from pathlib import Path

from aggregator.sources.slurmacct.features import FEATURES
from tests.slurm_schema import features_by_release

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def test_the_documented_features_are_those_of_the_releases() -> None:
    documented = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| [^|]+ \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE)
    features = features_by_release()
    since = [(name, next(release for release in features if features[release][name])) for name in FEATURES]
    assert documented == since


def test_no_release_lacks_what_an_earlier_one_has() -> None:
    """The page says so; where it ceases to be true, the page needs a column more."""
    releases = list(features_by_release().items())
    for (_, earlier), (release, later) in pairwise(releases):
        assert {name for name, there in earlier.items() if there and not later[name]} == set(), release


def test_every_release_is_named() -> None:
    text = PAGE.read_text()
    assert [release for release in features_by_release() if release not in text] == []
