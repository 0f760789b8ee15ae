"""docs/pitfalls.md has every pitfall, and the tests that it names exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pitfalls.md"
PITFALLS = 42
# Tests of exporters whose inputs are still to come.
TO_COME = {
    "test_a_constant_number_of_queries_takes_each_series_rate_before_any_sum",
    "test_a_day_shows_the_mean_of_the_day_not_the_sample_at_its_end",
    "test_a_run_younger_than_a_scrape_has_no_rate_yet",
    "test_a_target_that_fails_over_and_an_entry_that_is_evicted_make_no_rate_too_high",
    "test_beyond_the_cap_the_whole_is_asked_for_and_the_rest_is_nobodys",
    "test_devices_are_shown_once_whatever_their_names",
    "test_gpfs_has_soft_and_hard_limits_and_what_is_in_doubt",
    "test_gpus_are_those_that_slurm_has_given",
    "test_lfs_quota_is_kib_of_a_path_by_the_sites_label",
    "test_no_name_of_a_fileset_leaves_its_matcher",
    "test_no_text_makes_a_state_with_marks",
    "test_prometheus_takes_the_proxys_page_though_it_ends_without_a_newline",
    "test_shares_and_the_unaccounted_rest_are_the_measured_whole",
    "test_sinfos_marks_are_flags_and_not_part_of_the_state",
    "test_the_parts_add_up_to_what_was_measured_and_strange_job_ids_are_unknown",
    "test_the_zeros_of_a_collector_that_failed_are_no_values",
    "test_values_come_in_base_units",
    "test_why_jobs_are_not_seen",
    "test_without_the_proxys_labels_the_jobs_owners_are_known_all_the_same",
}


def items() -> dict[int, str]:
    """Give the text of each numbered item."""
    numbered = PAGE.read_text().split("## The engines")[0]
    found = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^## |\Z)", numbered, re.MULTILINE | re.DOTALL)
    assert len({number for number, _ in found}) == len(found), "a number is there twice"
    return {int(number): text for number, text in found}


def named(text: str) -> set[str]:
    return set(re.findall(r"`(test_\w+)`", text))


def existing() -> set[str]:
    files = ROOT.joinpath("tests").rglob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }


def test_every_pitfall_has_its_number() -> None:
    assert list(items()) == list(range(1, PITFALLS + 1))


def test_each_has_a_test_or_says_why_it_does_not_apply() -> None:
    silent = [number for number, text in items().items() if not named(text) and "Does not apply" not in text]
    assert silent == []


def test_the_tests_that_are_named_exist() -> None:
    assert named(PAGE.read_text()) - existing() - TO_COME == set()
