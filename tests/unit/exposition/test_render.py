"""The page against what prometheus_client prints for the same families, parsed by prometheus_client."""

import gzip
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from scrape import samples_of

from aggregator.engine.exposition import head
from aggregator.exposition.labels import fragment, shorten
from aggregator.exposition.render import Renderer, render_family
from aggregator.families import ALL, BY_NAME
from aggregator.families.spec import View
from aggregator.model.view import ClusterView, JobUse
from tests.builders import HOSTILE_NAMES, NOW, make_job, rich_cluster
from tests.reference import expected_registry

RICH: tuple[View, ...] = (rich_cluster(HOSTILE_NAMES),)


def page_of(*views: View, openmetrics: bool = False) -> str:
    """Put rendered members together as the page does."""
    renderers = [(Renderer(), view) for view in views]
    members = [renderer.render(view) for renderer, view in renderers]
    parts = [
        part
        for family in ALL
        if any(family.name in rendered for rendered in members)
        for part in (
            head(family.listing, openmetrics),
            *(rendered[family.name].content for rendered in members if family.name in rendered),
        )
    ]
    return gzip.decompress(b"".join(parts)).decode()


def test_the_text_page_is_what_prometheus_client_prints() -> None:
    expected = generate_latest(expected_registry(RICH)).decode()
    assert samples_of(parse_text(page_of(*RICH))) == samples_of(parse_text(expected))


def test_the_openmetrics_page_is_what_prometheus_client_prints() -> None:
    expected = generate_openmetrics(expected_registry(RICH)).decode()
    ours = page_of(*RICH, openmetrics=True) + "# EOF\n"
    assert samples_of(parse_openmetrics(ours)) == samples_of(parse_openmetrics(expected))


def test_a_family_of_two_clusters_is_one_family() -> None:
    views = (rich_cluster(cluster="narval"), rich_cluster(cluster="rorqual"))
    expected = generate_latest(expected_registry(views)).decode()
    assert samples_of(parse_text(page_of(*views))) == samples_of(parse_text(expected))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4, unique=True))
def test_any_label_value_is_read_back_as_it_is(names: list[str]) -> None:
    view = ClusterView("narval", NOW, series=tuple(
        make_job(job_id=number, user=name, account=name, name=name) for number, name in enumerate(names)
    ))  # fmt: skip
    for parsed in (parse_text(page_of(view)), parse_openmetrics(page_of(view, openmetrics=True) + "# EOF\n")):
        (info,) = [family for family in parsed if family.name == "hpc_job_info"]
        read = {sample.labels["slurmjobid"]: sample.labels for sample in info.samples}
        for number, name in enumerate(names):
            assert read[str(number)].get("user", "") == name
            assert read[str(number)].get("account", "") == name
            assert read[str(number)].get("job_name", "") == shorten(name, 128)


def written_value(value: float) -> tuple[str, float]:
    """Render one sample; give its text and what is parsed of it."""
    view = ClusterView("narval", NOW, series=(make_job(use=JobUse(cpus=value)),))
    lines = gzip.decompress(Renderer().render(view)["hpc_job_used_cpus"].content).decode()
    (family,) = parse_text(lines)
    return lines.rpartition(" ")[2].strip(), family.samples[0].value


@pytest.mark.parametrize(
    "value",
    [0, -0.0, 1, 0.1, 1 / 3, 2**53 + 1, 2**63, 2**64, 2**66 + 2**20, 10**300, 1e15, 1e16, 1e21, 1e22, 5e-324, 2.2e-308,
     1.7976931348623157e308, 1_800_000_000.123456, True],
)  # fmt: skip
def test_values_are_written_exactly(value: float) -> None:
    assert written_value(value)[1] == float(value)


@pytest.mark.parametrize(("value", "text"), [(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")])
def test_values_that_json_has_no_word_for_have_one(value: float, text: str) -> None:
    assert written_value(value)[0] == text


def test_special_values_stay_in_their_place() -> None:
    values = (1.0, math.inf, 2.0, -math.inf, 3.0)
    jobs = tuple(make_job(job_id=number, use=JobUse(cpus=value)) for number, value in enumerate(values))
    lines = page_of_family("hpc_job_used_cpus", ClusterView("narval", NOW, series=jobs))
    assert [sample.value for family in parse_text(lines) for sample in family.samples] == list(values)


def page_of_family(name: str, view: View) -> str:
    return gzip.decompress(Renderer().render(view)[name].content).decode()


@given(st.floats(allow_nan=False))
def test_any_float_is_read_back_as_it_is(value: float) -> None:
    assert written_value(value)[1] == value


def test_a_view_of_nothing_renders_nothing() -> None:
    assert Renderer().render(ClusterView("narval", NOW)) == {}


def test_equal_views_give_equal_bytes() -> None:
    renderer = Renderer()
    assert renderer.render(RICH[0]) == renderer.render(RICH[0]) == Renderer().render(rich_cluster(HOSTILE_NAMES))


def test_an_entity_that_changes_its_labels_is_printed_with_the_new_ones() -> None:
    renderer = Renderer()
    renderer.render(ClusterView("narval", NOW, series=(make_job(user="alice"),)))
    lines = renderer.render(ClusterView("narval", NOW, series=(make_job(user="bob"),)))["hpc_job_allocated_cpus"]
    assert b'user="bob"' in gzip.decompress(lines.content)


def test_fragments_of_entities_that_are_gone_are_forgotten() -> None:
    renderer = Renderer()
    renderer.render(rich_cluster(HOSTILE_NAMES))
    renderer.render(ClusterView("narval", NOW))
    assert not any(renderer._fragments.values())


def test_an_empty_label_is_no_label() -> None:
    assert fragment(("a", "b", "c"), ("x", "", "y")) == 'a="x",c="y"'
    assert fragment(("a",), ("",)) == ""


def test_labels_are_escaped() -> None:
    assert fragment(("a",), ('\\"\n',)) == r'a="\\\"\n"'


def test_a_wrong_number_of_label_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        fragment(("a", "b"), ("x",))


def test_a_family_without_known_values_is_not_on_the_page() -> None:
    view = ClusterView("narval", NOW, series=(make_job(end=None),))
    column: Any = type("Column", (), {"entities": view.series, "fragments": ['a="b"']})
    assert render_family(BY_NAME["hpc_job_end_timestamp_seconds"], column, {}) == (b"", 0)


@given(st.text(), st.integers(0, 40))
def test_a_shortened_label_is_the_longest_beginning_that_fits(value: str, size: int) -> None:
    short = shorten(value, size)
    length = len(value.encode(errors="replace"))
    if length <= size:
        assert short == value
    else:
        encoded = short.encode()
        assert len(encoded) <= size < len(encoded) + 4
        assert value.encode(errors="replace").startswith(encoded)


def test_a_lone_surrogate_in_a_name_costs_one_character() -> None:
    view = rich_cluster(HOSTILE_NAMES)
    broken = replace(view.jobs[0], run=replace(view.jobs[0].run, name="a\ud800b"))
    jobs = (broken, *view.jobs[1:])
    lines = gzip.decompress(Renderer().render(replace(view, jobs=jobs, series=jobs))["hpc_job_info"].content).decode()
    assert 'job_name="a?b"' in lines
    assert lines.count("\n") == len(jobs)


@pytest.mark.parametrize(
    ("size", "label"), [(0, ""), (3, 'job_name="xé"'), (4, 'job_name="xéy"'), (255, 'job_name="xéy"')]
)
def test_a_site_says_how_long_the_name_of_a_job_may_be(size: int, label: str) -> None:
    view = ClusterView("narval", NOW, series=(make_job(name="xéy"),))
    lines = gzip.decompress(Renderer(size).render(view)["hpc_job_info"].content).decode()
    assert label in lines
    assert ("job_name" in lines) == bool(label)
