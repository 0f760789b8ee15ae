"""The names and labels that dashboards and rules rely on, as written in families.txt."""

from pathlib import Path

import pytest

from aggregator.app.layouts import BY_NAME, FAMILIES

LINES = (Path(__file__).parent / "families.txt").read_text().splitlines()
PROMISED = {words[0]: tuple(words[1:]) for line in LINES if (words := line.split()) and not line.startswith("#")}


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_family_exists_with_exactly_its_labels(name: str) -> None:
    assert BY_NAME[name].labels == PROMISED[name]


def test_no_two_families_have_one_name_in_openmetrics() -> None:
    """A counter's name has no `_total` there: a gauge of that name would spoil the page for a strict reader."""
    names = [family.openmetrics_name for family in FAMILIES]
    assert len(set(names)) == len(names)


def test_no_family_takes_a_name_of_slurm() -> None:
    assert not [family.name for family in FAMILIES if family.name.startswith("slurm")]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_follow_the_conventions(family: object) -> None:
    name, labels = family.name, family.labels  # type: ignore[attr-defined]
    group = family.collect.removesuffix("s")  # type: ignore[attr-defined]
    # A cluster's power is its nodes'; rules are said with jobs; what is in a cloud has names of its own.
    others = {
        "job": ("hpc_waste_rule_",), "node": ("hpc_cluster_",), "cloud": ("hpc_instance_", "hpc_project_"),
    }.get(group, ())  # fmt: skip
    assert name.startswith((f"hpc_{group}_", *others))
    assert not {"job", "instance", "le", "id", "quantile"} & set(labels)
    assert not name.endswith(("_milliseconds", "_percent", "_kilobytes", "_megabytes", "_mb", "_timestamp"))
