"""The page against what prometheus_client prints for the same rows, parsed by prometheus_client."""

import gzip
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from scrape import samples_of

from aggregator.app.layouts import CLUSTERS
from aggregator.engine.column import Column, Family, Sample, Table
from aggregator.engine.exposition import Member, Writer, head
from aggregator.engine.view import View
from aggregator.parts.jobs.rows import shorten
from aggregator.parts.jobs.settings import JobSettings
from tests.builders import HOSTILE_NAMES, NOW, make_run
from tests.clusters import join_cluster, rich_frames
from tests.reference import expected_registry


def view_of(cluster: str = "narval", names: tuple[str, ...] = HOSTILE_NAMES) -> View:
    return View(cluster, NOW, rich_frames(names, cluster))


def lines_of(member: Member) -> str:
    return gzip.decompress(b"".join(member.pieces)).decode()


def page_of(*views: View, openmetrics: bool = False) -> str:
    """Put rendered members together as the page does."""
    members = [CLUSTERS.render(view.name, view.frames) for view in views]
    parts = [
        part
        for listing in CLUSTERS.listings
        if any(listing.name in rendered for rendered in members)
        for part in (
            head(listing, openmetrics),
            *(piece for rendered in members if listing.name in rendered for piece in rendered[listing.name].pieces),
        )
    ]
    return gzip.decompress(b"".join(parts)).decode()


def test_the_text_page_is_what_prometheus_client_prints() -> None:
    view = view_of()
    expected = generate_latest(expected_registry([view])).decode()
    assert samples_of(parse_text(page_of(view))) == samples_of(parse_text(expected))


def test_the_openmetrics_page_is_what_prometheus_client_prints() -> None:
    view = view_of()
    expected = generate_openmetrics(expected_registry([view])).decode()
    ours = page_of(view, openmetrics=True) + "# EOF\n"
    assert samples_of(parse_openmetrics(ours)) == samples_of(parse_openmetrics(expected))


def test_a_family_of_two_clusters_is_one_family() -> None:
    views = (view_of("narval", ("alice",)), view_of("rorqual", ("alice",)))
    expected = generate_latest(expected_registry(views)).decode()
    assert samples_of(parse_text(page_of(*views))) == samples_of(parse_text(expected))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4, unique=True))
def test_any_label_value_is_read_back_as_it_is(names: list[str]) -> None:
    runs = [make_run(run_id=n, job_id=n, user=name, account=name, name=name) for n, name in enumerate(names)]
    view = View("narval", NOW, join_cluster(runs, settings=JobSettings(job_name_bytes=10_000)))
    for parsed in (parse_text(page_of(view)), parse_openmetrics(page_of(view, openmetrics=True) + "# EOF\n")):
        (info,) = [family for family in parsed if family.name == "hpc_job_info"]
        read = {sample.labels["slurmjobid"]: sample.labels for sample in info.samples}
        for number, name in enumerate(names):
            assert [read[str(number)].get(label, "") for label in ("user", "account", "job_name")] == [name] * 3


THINGS = Table(
    name="things", of="thing", collect="things", labels={"thing": "name"},
    columns=(
        Column(name="name", dtype=pl.String, help="Its name."),
        Column(name="size", dtype=pl.Float64, help="Its size.", sample=Sample(
            family=Family(name="hpc_thing_size", help="Its size.", cost="things", source="here"))),
    ),
)  # fmt: skip


def written_values(*values: float | None) -> tuple[list[str], list[float]]:
    """Render a sample of each value; give their texts and what is parsed of them."""
    sizes = pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    frame = pl.DataFrame({"name": [f"thing {number}" for number in range(len(values))], "size": sizes})
    lines = lines_of(Writer(THINGS, "cluster").write("narval", frame, {}, {})["hpc_thing_size"])
    read = [sample.value for family in parse_text(lines) for sample in family.samples]
    return [line.rpartition(" ")[2] for line in lines.splitlines()], read


@pytest.mark.parametrize(
    "value",
    [0, -0.0, 1, 0.1, 1 / 3, 2**53 + 1, 2**63, 2**64, 2**66 + 2**20, 10**300, 1e15, 1e16, 1e21, 1e22, 5e-324, 2.2e-308,
     1.7976931348623157e308, 1_800_000_000.123456],
)  # fmt: skip
def test_values_are_written_exactly(value: float) -> None:
    assert written_values(value)[1] == [float(value)]


def test_infinity_is_written_as_both_formats_have_it_and_in_its_place() -> None:
    texts, values = written_values(1.0, math.inf, 2.0, -math.inf, 3.0)
    assert texts == ["1.0", "+Inf", "2.0", "-Inf", "3.0"]
    assert values == [1.0, math.inf, 2.0, -math.inf, 3.0]


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_any_float_is_read_back_as_it_is(values: list[float]) -> None:
    assert written_values(*values)[1] == values


def test_of_many_rows_each_is_written_once_and_in_their_order() -> None:
    """They are written in pieces."""
    sizes: list[float | None] = [*map(float, range(50_000))]
    sizes[1::2], sizes[40_000] = [None] * 25_000, math.inf
    assert written_values(*sizes)[1] == [size for size in sizes if size is not None]


def test_what_is_not_known_is_no_sample() -> None:
    assert written_values(1.0, None, 0.0)[1] == [1.0, 0.0]


def test_a_view_of_nothing_renders_nothing() -> None:
    assert CLUSTERS.render("narval", CLUSTERS.empty()) == {}


def test_equal_views_give_equal_bytes() -> None:
    assert CLUSTERS.render("narval", view_of().frames) == CLUSTERS.render("narval", view_of().frames)


def test_a_family_without_known_values_is_not_on_the_page() -> None:
    members = CLUSTERS.render("narval", join_cluster([make_run(end=None)]))
    assert "hpc_job_info" in members
    assert "hpc_job_end_timestamp_seconds" not in members


def test_an_empty_label_is_no_label_and_others_are_escaped() -> None:
    members = CLUSTERS.render("narval", join_cluster([make_run(user='\\"\n', account="")]))
    lines = lines_of(members["hpc_job_submit_timestamp_seconds"])
    assert lines.startswith('hpc_job_submit_timestamp_seconds{cluster="narval",slurmjobid="4711",user="\\\\\\"\\n"} ')


@pytest.mark.parametrize(
    ("size", "label"), [(0, ""), (3, 'job_name="xé"'), (4, 'job_name="xéy"'), (255, 'job_name="xéy"')]
)
def test_a_site_says_how_long_the_name_of_a_job_may_be(size: int, label: str) -> None:
    frames = join_cluster([make_run(name="xéy")], settings=JobSettings(job_name_bytes=size))
    lines = lines_of(CLUSTERS.render("narval", frames)["hpc_job_info"])
    assert label in lines
    assert ("job_name" in lines) == bool(label)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 40))
def test_a_shortened_label_is_the_longest_beginning_that_fits(value: str, size: int) -> None:
    (short,) = shorten(pl.Series([value]), size)
    if len(value.encode()) <= size:
        assert short == value
    else:
        encoded = short.encode()
        assert len(encoded) <= size < len(encoded) + 4
        assert value.encode().startswith(encoded)
