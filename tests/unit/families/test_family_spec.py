from typing import Any

import pytest

from aggregator.families.spec import Entity, Family, FamilyError, Histogram, check_unique

JOB: Entity[Any] = Entity(
    name="job", group="jobs", labels=("cluster", "slurmjobid", "user", "account"), of=lambda _: (),
    label_values=lambda *_: ("narval", "1", "alice", "def-kim"),
)  # fmt: skip


def make_family(**changes: Any) -> Family[Any]:
    defaults: dict[str, Any] = {
        "name": "hpc_job_moons", "help": "Moons of the job.", "entity": JOB, "cost": "jobs", "source": "the sky",
        "value": lambda *_: 1.0,
    }  # fmt: skip
    return Family(**{**defaults, **changes})


def samples(*pairs: tuple[tuple[str, ...], float | None]) -> dict[str, Any]:
    return {"value": None, "samples": lambda *_: pairs, "labels": ("tier",)}


def test_a_sound_family_is_accepted() -> None:
    family = make_family()
    assert family.type == "gauge"
    assert family.all_labels == ("cluster", "slurmjobid", "user", "account")


@pytest.mark.parametrize(
    "name",
    ["job_moons", "slurm_job_moons", "hpc_Job", "hpc_1", "hpc_", "hpc_job-moons", "hpc_job:moons", "hpc_job_moons ",
     "hpc_job_moons\n", "hpc_moons_count", "hpc_moons_sum", "hpc_moons_bucket", "hpc_moons_created"],
)  # fmt: skip
def test_a_name_that_is_none_for_a_family_is_refused(name: str) -> None:
    with pytest.raises(FamilyError, match="not a name for a family"):
        make_family(name=name)


@pytest.mark.parametrize("text", ["", "Moons of the job"])
def test_a_help_that_is_no_sentence_is_refused(text: str) -> None:
    with pytest.raises(FamilyError, match=r"hpc_job_moons: the help must be a sentence"):
        make_family(help=text)


@pytest.mark.parametrize(
    "ways",
    [{"value": None}, {"samples": lambda *_: ()}, {"histogram": lambda *_: None}],
)
def test_exactly_one_way_to_samples_is_given(ways: dict[str, Any]) -> None:
    with pytest.raises(FamilyError, match="exactly one"):
        make_family(**ways)


@pytest.mark.parametrize("changes", [{"labels": ("tier",)}, {"value": None, "samples": lambda *_: ()}])
def test_extra_labels_go_with_samples_only(changes: dict[str, Any]) -> None:
    with pytest.raises(FamilyError, match="extra labels go with samples"):
        make_family(**changes)


@pytest.mark.parametrize("values", [(), ("disk", "tape")])
def test_a_wrong_number_of_label_values_is_refused(values: tuple[str, ...]) -> None:
    family = make_family(**samples((values, 1.0)))
    with pytest.raises(FamilyError, match=rf"hpc_job_moons: {len(values)} label values"):
        list(family.extra_samples("4711"))


def test_a_sample_that_is_not_known_is_left_out() -> None:
    family = make_family(**samples((("disk",), None), (("tape",), 0.0)))
    assert list(family.extra_samples("4711")) == [(("tape",), 0.0)]


def test_a_family_of_one_value_has_no_extra_samples() -> None:
    assert list(make_family().extra_samples("4711")) == []


def test_a_histogram_is_one() -> None:
    family = make_family(value=None, histogram=lambda *_: Histogram(((float("inf"), 1),), 1.0))
    assert family.type == "histogram"


def test_two_families_of_one_name_are_refused() -> None:
    with pytest.raises(FamilyError, match="one name"):
        check_unique([make_family(), make_family()])


def test_families_are_found_by_name() -> None:
    family = make_family()
    assert check_unique([family]) == {"hpc_job_moons": family}
