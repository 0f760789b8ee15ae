"""The reference makes the same page: what is compared is how long it takes, not what it says."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tests.bench.reference import Page

# What the text format cannot carry in one line: other ends of lines than its own.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))


@given(values=st.lists(st.tuples(TEXT, TEXT, st.floats()), max_size=10))
def test_a_page_that_is_made_anew_is_the_same(values: list[tuple[str, str, float]]) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("hpc_job_used_cpus", "CPUs busy now.", ["user", "name"], registry=registry)
    Counter("hpc_job_energy_joules", 'Energy, "so far".', registry=registry).inc(3)
    Histogram("hpc_job_wait_seconds", "Waits.", ["cluster"], buckets=[1, 2], registry=registry).labels("a").observe(1.5)
    for user, name, value in values:
        gauge.labels(user, name).set(value)
    page = generate_latest(registry)
    assert generate_latest(Page(page.decode()).registry()) == page


def test_an_empty_page_has_no_families() -> None:
    assert Page("").families == []
