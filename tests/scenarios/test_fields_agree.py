"""Every field of every list that is also a gauge has its value: a field in another's place is noticed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from aggregator.app.lists import lists_of
from aggregator.engine.column import Column, Sample
from aggregator.engine.listed import COVERAGE, GATHERED
from tests.identities import Page
from tests.lab.process import wait_until
from tests.scenarios.demo import Demo

LISTS = {each.path: each.listed for each in lists_of()}
SCOPES = {"{cluster}": ("demo",), "{filesystem}": ("project", "scratch", "home")}
# The demo's file systems have none of these.
NOT_IN_THE_DEMO = {
    "hpc_job_gpu_dram_active_ratio", "hpc_job_gpu_sm_occupancy_ratio", "hpc_job_gpu_tensor_active_ratio",
    "hpc_storage_quota_hard_bytes", "hpc_storage_quota_hard_inodes", "hpc_storage_quota_in_doubt",
    "hpc_storage_user_quota_hard_inodes",
}  # fmt: skip
_STAMPS = ("hpc_aggregator_snapshot_timestamp_seconds", "hpc_aggregator_source_last_success_timestamp_seconds")
Rows = list[dict[str, Any]]
Key = frozenset[tuple[str, str]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"), "--jobs=300")
    try:
        running.start()
        yield running
    finally:
        running.service.stop()


def shown_columns(pattern: str) -> list[Column]:
    """Give the columns of a list whose values are those of a gauge."""
    columns = LISTS[pattern].columns.values()
    return [each for each in columns if each.sample and not each.sample.constant and not each.sample.family.edges]


def scoped(path: str) -> Iterator[tuple[str, str]]:
    """Give a list's paths, each with the name of the cluster or file system."""
    parameter = next((each for each in SCOPES if each in path), "")
    for name in SCOPES.get(parameter, ("",)):
        yield name, path.replace(parameter, name) if parameter else path


@pytest.fixture(scope="module")
def seen(demo: Demo) -> tuple[Page, Mapping[tuple[str, str], Rows]]:
    """Read the page and all lists of one snapshot."""
    found: list[tuple[Page, dict[tuple[str, str], Rows]]] = []

    def stamps() -> list[Mapping[Any, float]]:
        return [demo.service.samples(name) for name in _STAMPS]

    def steady() -> bool:
        before = stamps()
        rows = {
            (pattern, name): demo.rows(path, listed.name)
            for pattern, listed in LISTS.items()
            for name, path in scoped(pattern)
        }
        found.append((Page.asked(demo.service), rows))
        return stamps() == before

    wait_until(steady, 300, "all lists and the page of one snapshot")
    return found[-1]


def value(row: Mapping[str, Any], name: str) -> Any:
    """Give what a row has of a column."""
    return row[GATHERED][name.removesuffix(COVERAGE)] if name.endswith(COVERAGE) else row[name]


def problems(pattern: str, name: str, rows: Rows, page: Page, column: Column, sample: Sample) -> Iterator[str]:
    """Say where rows and samples of a column differ. Of several runs of one job the page shows one."""
    labelled = {**LISTS[pattern].table.labels, **sample.label_columns}
    scope = next((each.strip("{}") for each in SCOPES if each in pattern), "cloud")
    values: dict[Key, set[Any]] = defaultdict(set)
    for row in rows:
        labels = {scope: name or row["cloud"], **sample.labels, **{label: row[of] for label, of in labelled.items()}}
        values[_key(labels)].add(value(row, column.name))
    for labels, shown in page.samples(sample.family.name):
        if sample.labels.items() <= labels.items() and name in ("", labels[scope]) and "_other" not in labels.values():
            own = values.get(_key(labels), "no row")
            if own == "no row" or shown not in own:
                yield f"{column.name} of {dict(labels)}: {own}, and {shown} at /metrics"


def _key(labels: Mapping[str, Any]) -> Key:
    """To Prometheus an empty label is none."""
    return frozenset((label, str(of)) for label, of in labels.items() if of not in (None, ""))


@pytest.mark.parametrize("pattern", LISTS)
def test_each_field_has_the_value_of_its_gauge(seen: Any, pattern: str) -> None:
    page, lists = seen
    wrong = [
        problem
        for (of, name), rows in lists.items()
        for column in (shown_columns(pattern) if of == pattern else ())
        if column.sample
        for problem in problems(pattern, name, rows, page, column, column.sample)
    ]
    assert wrong[:5] == []


def test_nearly_every_gauge_of_a_list_is_there_to_compare(seen: Any) -> None:
    page, _ = seen
    names = {column.sample.family.name for each in LISTS for column in shown_columns(each) if column.sample}
    assert len(names) > 90
    assert {name for name in names if not list(page.samples(name))} == NOT_IN_THE_DEMO
