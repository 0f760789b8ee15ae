"""Every family that is declared, collected over views in which everything is known, and over views of nothing."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from aggregator.app.layouts import CLUSTERS
from aggregator.exposition.render import Renderer
from aggregator.families import ALL, BY_NAME
from aggregator.families.spec import Family, View
from aggregator.model.view import ClusterView
from tests.builders import NOW, rich_cluster

VIEWS: tuple[View, ...] = (rich_cluster(),)
EMPTY: tuple[View, ...] = (ClusterView("narval", NOW, frames=CLUSTERS.empty()),)
every_family = pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)


def collect(family: Family[Any], view: View) -> Iterator[tuple[dict[str, str], Any]]:
    """Give each sample's labels and value (a histogram is its own value)."""
    for entity in family.entity.of(view):
        base = family.entity.label_values(view, entity)
        assert len(base) == len(family.entity.labels)
        if family.value is not None:
            value = family.value(entity)
            if value is not None:
                yield dict(zip(family.all_labels, base, strict=True)), value
        elif family.histogram is not None:
            histogram = family.histogram(entity)
            if histogram is not None:
                yield dict(zip(family.all_labels, base, strict=True)), histogram
        else:
            for extra, value in family.extra_samples(entity):
                yield dict(zip(family.all_labels, (*base, *extra), strict=True)), value


def samples_of(name: str, view: View) -> list[tuple[dict[str, str], Any]]:
    return list(collect(BY_NAME[name], view))


@every_family
def test_every_family_has_samples_when_everything_is_known(family: Family[Any]) -> None:
    assert any(True for view in VIEWS for _ in collect(family, view))


@every_family
def test_no_family_has_a_duplicate_a_nan_or_a_label_that_is_no_text(family: Family[Any]) -> None:
    for view in VIEWS:
        seen = set()
        for labels, value in collect(family, view):
            key = tuple(sorted(labels.items()))
            assert key not in seen
            seen.add(key)
            assert all(isinstance(text, str) for text in labels.values())
            numbers = [value] if family.histogram is None else [value.total, *(count for _, count in value.buckets)]
            assert not any(math.isnan(number) for number in numbers)


@every_family
def test_every_family_carries_its_cluster_file_system_or_cloud(family: Family[Any]) -> None:
    scope = {"storage": "filesystem", "cloud": "cloud"}.get(family.entity.group, "cluster")
    assert family.all_labels[0] == scope
    assert len(set(family.all_labels)) == len(family.all_labels)
    for view in VIEWS:
        assert {labels[scope] for labels, _ in collect(family, view)} <= {"narval", "project", "arbutus"}


@every_family
def test_every_family_says_what_it_costs_and_where_it_comes_from(family: Family[Any]) -> None:
    assert family.cost
    assert family.source
    assert family.stability in ("STABLE", "EXPERIMENTAL")


@every_family
def test_a_view_of_nothing_gives_nothing_but_the_file_system_itself(family: Family[Any]) -> None:
    found = [sample for view in EMPTY for sample in collect(family, view)]
    if family.name == "hpc_storage_scan_running":
        assert found == [({"filesystem": "project"}, 0.0)]
    else:
        assert found == []


def test_the_page_counts_the_series_that_it_has() -> None:
    for view in VIEWS:
        for name, member in Renderer().render(view).items():
            found = samples_of(name, view)
            expected = sum(len(value.buckets) + 2 for _, value in found) if BY_NAME[name].histogram else len(found)
            assert member.series == expected, name
