"""The budget of series: the largest rows have series of their own, and the sums of the others are exact."""

import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.app.layouts import CLOUDS, CLUSTERS, FILESYSTEMS
from aggregator.config import Config
from aggregator.engine.column import DeclarationError, Sample, Table
from aggregator.engine.exposition import Folded
from aggregator.engine.frame import Frames, frame_of
from aggregator.engine.part import Layout, Part
from tests.builders import HOSTILE_NAMES
from tests.spaces import rich_filesystem
from tests.unit.engine.pages import KEYS, OTHER, Page, column, family, page_of, shown_ids

LIMIT: Final = 3
_IDENTITY: Final = (column("id", pl.Int64), column("user", pl.String))
_PARTS: Final = family("parts", labels=("part",))
JOBS: Final = Table(
    name="jobs", of="job", collect="jobs", labels=KEYS, where="on_page", size="cpus",
    columns=(
        *_IDENTITY, column("on_page", pl.Boolean), column("is_open", pl.Boolean),
        column("cpus", pl.Int64, Sample(family=family("cpus"))),
        column("used", pl.Int64, Sample(family=family("used"), where="is_open")),
        column("idle", pl.Boolean, Sample(family=family("idle"))),
        column("first", pl.Int64, Sample(family=_PARTS, labels={"part": "first"})),
        column("second", pl.Int64, Sample(family=_PARTS, labels={"part": "second"})),
        column("efficiency", pl.Float64, Sample(family=family("efficiency_ratio"))),
        column("limit", pl.Float64, Sample(family=family("limit_seconds", adds_up=False))),
        column("state", pl.String, Sample(
            family=family("info", labels=("state",)), label_columns={"state": "state"}, constant=True)),
    ),
)  # fmt: skip
WASTE: Final = Table(
    name="waste", of="finding", collect="jobs", labels=KEYS,
    columns=(
        *_IDENTITY,
        column("reason", pl.String, Sample(
            family=family("waste", labels=("reason",)), label_columns={"reason": "reason"}, constant=True)),
    ),
)  # fmt: skip
SITE: Final = Table(
    name="site", of="site", collect="jobs", labels={},
    columns=(column("power", pl.Float64, Sample(family=family("power"))),),
)  # fmt: skip
LAYOUT: Final = Layout("cluster", [Part(name="jobs", join=lambda *_: {}, tables=(JOBS, WASTE, SITE))])
ADDED: Final = ("hpc_job_cpus", "hpc_job_used", "hpc_job_idle", "hpc_job_parts", "hpc_job_waste")
LEFT_OUT: Final = ("hpc_job_efficiency_ratio", "hpc_job_limit_seconds", "hpc_job_info")


def frames_of(rows: Sequence[Mapping[str, Any]], findings: Sequence[tuple[int, str]] = ()) -> Frames:
    """Make the tables' frames; the user of each job follows from its id."""
    named = {name: [row.get(name) for row in rows] for name in {name for row in rows for name in row}}
    named |= {"user": [f"u{row['id'] % 3}" for row in rows]}
    for truth in ("on_page", "is_open"):
        named.setdefault(truth, [True] * len(rows))
    ids, reasons = [job for job, _ in findings], [reason for _, reason in findings]
    return {
        "jobs": frame_of(JOBS, named),
        "waste": frame_of(WASTE, {"id": ids, "user": [f"u{job % 3}" for job in ids], "reason": reasons}),
        "site": frame_of(SITE, {"power": [7.0]}),
    }


def sums(page: Page, name: str) -> Mapping[tuple[str, ...], float]:
    """Add a family up over jobs, by its other labels."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for (_, _, *own), value in page.get(name, {}).items():
        found[tuple(own)] += value
    return found


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


_ROW: Final = st.fixed_dictionaries({
    "on_page": st.booleans(), "is_open": st.booleans(), "cpus": _maybe(st.integers(0, 9)),
    "used": _maybe(st.integers(0, 10**9)), "idle": _maybe(st.booleans()), "first": _maybe(st.integers(0, 9)),
    "second": st.none(), "efficiency": _maybe(st.floats(0, 1)), "limit": _maybe(st.floats(0, 1e6)),
    "state": st.sampled_from(["running", "pending"]),
})  # fmt: skip
_ROWS: Final = st.lists(_ROW, max_size=9).map(lambda rows: [{"id": number, **row} for number, row in enumerate(rows)])
_FINDINGS: Final = st.sets(st.tuples(st.integers(0, 11), st.sampled_from(["idle", "late"]))).map(sorted)


@given(_ROWS, _FINDINGS, st.integers(1, 12))
def test_sums_over_what_is_shown_and_the_others_are_those_over_all(rows: Any, findings: Any, limit: int) -> None:
    """What is known of none has no sample: the labels of the sums are equal, too."""
    frames = frames_of(rows, findings)
    (page, folded), (whole, _) = page_of(LAYOUT, frames, limit), page_of(LAYOUT, frames, 1000)
    for name in ADDED:
        assert sums(page, name) == sums(whole, name), name
    for name in LEFT_OUT:
        assert page.get(name, {}).items() <= whole.get(name, {}).items(), name
    members = LAYOUT.render("narval", folded.frames, folded.rests)
    for name, samples in whole.items():
        own = [key for key in page.get(name, {}) if key[:2] != OTHER]
        assert members[name].folded == len(samples) - len(own), name


@settings(max_examples=settings.default.max_examples // 2)
@given(_ROWS, _FINDINGS, st.integers(1, 12), st.randoms())
def test_all_families_show_the_same_rows_in_whatever_order_they_come(
    rows: Any, findings: Any, limit: int, random: Any
) -> None:
    page, folded = page_of(LAYOUT, frames_of(rows, findings), limit)
    shown = set().union(*(shown_ids(page, name) for name in page if name != "hpc_job_power"))
    kept = {str(number) for frame in folded.shown.values() for number in frame["slurmjobid"]}
    assert len(shown) <= limit
    assert not folded.shown or (shown <= kept and len(kept) == limit)
    random.shuffle(rows)
    random.shuffle(findings)
    assert page_of(LAYOUT, frames_of(rows, findings), limit)[0] == page


def test_the_largest_are_shown_and_the_older_of_equals() -> None:
    rows = [{"id": number, "cpus": cpus} for number, cpus in ((1, None), (2, 4), (3, 9), (4, 4), (5, 4), (6, None))]
    assert shown_ids(page_of(LAYOUT, frames_of(rows), LIMIT)[0]) == {"2", "3", "4"}


def test_what_the_table_of_sizes_does_not_have_is_the_smallest() -> None:
    page, _ = page_of(LAYOUT, frames_of([{"id": 1, "cpus": 0}], [(0, "idle"), (1, "late")]), 1)
    assert page["hpc_job_waste"] == {("1", "u1", "late"): 1, (*OTHER, "idle"): 1}


def test_labels_of_what_a_row_is_say_other_and_its_own_labels_stay() -> None:
    rows = [{"id": number, "cpus": number, "first": 1, "second": 2} for number in range(5)]
    page, _ = page_of(LAYOUT, frames_of(rows, [(0, "idle"), (1, "idle"), (4, "late")]), LIMIT)
    assert page["hpc_job_cpus"][OTHER] == 1
    assert page["hpc_job_parts"][*OTHER, "second"] == 4
    assert page["hpc_job_waste"] == {(*OTHER, "idle"): 2, ("4", "u1", "late"): 1}


@pytest.mark.parametrize(("newcomer", "shown"), [(10, {"1"}), (11, {"1"}), (12, {"2"})])
def test_a_row_that_is_shown_gives_way_to_what_is_clearly_larger(newcomer: int, shown: set[str]) -> None:
    _, before = page_of(LAYOUT, frames_of([{"id": 1, "cpus": 10}, {"id": 2, "cpus": 9}]), 1)
    page, after = page_of(LAYOUT, frames_of([{"id": 1, "cpus": 10}, {"id": 2, "cpus": newcomer}]), 1, before)
    assert shown_ids(page) == shown
    # And back again only by as much.
    equal = frames_of([{"id": 1, "cpus": newcomer}, {"id": 2, "cpus": newcomer}])
    assert shown_ids(page_of(LAYOUT, equal, 1, after)[0]) == shown


def test_within_the_limit_frames_are_rendered_as_they_are() -> None:
    frames = frames_of([{"id": job, "cpus": 1} for job in range(LIMIT)], [(job, "idle") for job in range(LIMIT)])
    for limits in ({"jobs": LIMIT}, {"users": 1}, {}):
        folded = LAYOUT.fold(frames, limits, Folded())
        assert all(folded.frames[name] is frame for name, frame in frames.items())
        assert not folded.rests


def test_a_histogram_of_what_is_beyond_the_budget_is_left_out() -> None:
    folded = FILESYSTEMS.fold(rich_filesystem(HOSTILE_NAMES).frames, {"storage": 1}, Folded())
    member = FILESYSTEMS.render("project", folded.frames, folded.rests)["hpc_storage_file_size_bytes"]
    lines = gzip.decompress(b"".join(member.pieces)).decode()
    assert (lines.count("_count{"), "_other" in lines) == (1, False)
    assert member.folded == (len(HOSTILE_NAMES) - 1) * member.series


def test_what_has_no_labels_is_never_folded() -> None:
    page, _ = page_of(LAYOUT, frames_of([{"id": number, "cpus": 1} for number in range(9)]), 1)
    assert page["hpc_job_power"] == {(): 7.0}


def test_rows_are_ranked_by_a_column_that_is_there() -> None:
    with pytest.raises(DeclarationError, match="no column memory"):
        Table(name="jobs", of="job", collect="jobs", labels=KEYS, columns=_IDENTITY, size="memory")


def _kinds(layout: Layout) -> Mapping[tuple[str, ...], list[str]]:
    """Give the sizes that the tables of each kind declare."""
    sizes: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for table in layout.tables.values():
        if table.labels and table.samples:
            sizes[table.collect, *table.labels] += [table.size] if table.size else []
    return sizes


@pytest.mark.parametrize("layout", [CLUSTERS, FILESYSTEMS, CLOUDS], ids=lambda layout: layout.kind)
def test_the_services_own_tables_have_budgets_and_one_size_for_each_kind(layout: Layout) -> None:
    kinds = _kinds(layout)
    assert {kind[0] for kind in kinds} <= Config().limits.series.model_dump().keys()
    assert {kind: sizes for kind, sizes in kinds.items() if len(sizes) != 1} == {}
