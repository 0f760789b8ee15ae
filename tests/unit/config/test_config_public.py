"""public.software: patterns that are found in paths, in their order; one that is no pattern is named."""

import pytest

from aggregator.config import ConfigError, parse

BASE = """
filesystems: { project: { robinhood: { host: h, user: u, database: d } } }
public:
  software:
"""


def test_software_is_kept_in_its_order() -> None:
    rows = ("{ name: Python, pattern: '/python[0-9.]*$' }", "{ name: 'All \N{ROCKET}', pattern: '.' }")
    config = parse(BASE + "\n".join(f"    - {row}" for row in rows))
    assert [each.name for each in config.software] == ["Python", "All \N{ROCKET}"]


def test_without_the_section_nothing_is_known() -> None:
    assert parse(BASE.partition("public")[0]).software == ()


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "*", "(?P<a>x)(?P<a>y)", "x{99999999999}"])
def test_what_is_no_regular_expression_is_named(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{BASE}    - {{ name: x, pattern: '{pattern}' }}")
    assert "public.software[0].pattern: must be a regular expression" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "text"),
    [("- { pattern: x }", "name"), ("- { name: x }", "pattern"), ("- { name: x, pattern: x, paths: y }", "paths")],
)
def test_a_key_that_is_missing_or_unknown_is_named(line: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        parse(f"{BASE}    {line}")
