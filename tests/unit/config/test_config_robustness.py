from itertools import pairwise

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config import Config, ConfigError, parse

KEYS = sorted(
    {"clusters", "filesystems", "narval", "slurmacct", "prometheus", "password", "password_file", "url", "tls"}
    | {"interval", "state", "refresh", "stale_after", "auth", "networks", "trusted_proxy", "quota", "source", "cluster"}
    | set(Config.model_fields)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
WORDS = st.sampled_from(["30s", "4GiB", "lfs_quota", "${X}", "http://a:b@c", "[", "/", "mysql://h/d", "\0"])
TREES = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)


def mistakes_of(text: str) -> list[str]:
    try:
        parse(text)
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


@given(st.text())
def test_any_text_raises_nothing_else(text: str) -> None:
    mistakes_of(text)


@given(st.text(alphabet="{}[]&*a!?|>-: \n\t'\"#,%@<=~01", max_size=60))
def test_any_yaml_raises_nothing_else(text: str) -> None:
    mistakes_of(text)


@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=5))
def test_any_configuration_is_explained_in_our_words(tree: dict[str, object]) -> None:
    for mistake in mistakes_of(yaml.safe_dump(tree, allow_unicode=True)):
        assert "\n" not in mistake
        assert "pydantic" not in mistake
        assert "Input should" not in mistake
        assert "another value" not in mistake


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "a: &a {b: *a}", "clusters: &a [*a, *a]", "\ud800"])
def test_deep_endless_or_undecodable_text_is_a_mistake(text: str) -> None:
    assert mistakes_of(text)


def test_multiplying_aliases_are_a_mistake() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]

    assert any("aliases" in mistake for mistake in mistakes_of("\n".join(lines)))


def test_alias_repeats_a_section() -> None:
    config = parse(
        "clusters:\n  narval: &c {slurmacct: {host: db1, user: a}, prometheus: {url: 'http://p:9090'}}\n  beluga: *c\n"
    )

    assert config.clusters["narval"] == config.clusters["beluga"]


HOSTILE = {
    "openings of variables": 'log: {level: "' + "${" * 500_000 + '"}',
    "colons": 'log: {level: "' + ":" * 1_000_000 + '"}',
    "a long address": 'state: {url: "mysql://' + "://a:" * 200_000 + '"}',
    "aliases of a long text": "\n".join(
        [f'a: &a ["{"x" * 500_000}"]', *(f"{new}: &{new} [{f'*{old},' * 9}]" for old, new in pairwise("abcdefghi"))]
    ),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_time_in_proportion_to_its_length(name: str) -> None:
    """A quadratic search would not end before the machine does."""
    assert mistakes_of(HOSTILE[name])
