"""--redaction.rules-file: strict, and every mistake names its rule and field."""

from pathlib import Path

import pytest

from aggregator.config import ConfigError
from jobscript_ingest.redact import redact
from jobscript_ingest.rules import load_rules

SITE = """
definitions:
  key: '[0-9]{4}-[0-9]{4}'
disabled: [aws_key]
rules:
  license:
    about: Our licence server's keys
    pattern: 'LIC:(<key>)'
    unless: ['LIC:0000']
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yml"
    file.write_text(SITE)
    return file


def redacted(file: Path, text: bytes) -> bytes:
    return redact(text, load_rules(file), 1000).content


def test_a_rule_of_the_site_is_added_to_the_shipped_ones(file: Path) -> None:
    assert redacted(file, b"LIC:1234-5678 LIC:0000-5678") == b"LIC:<redacted> LIC:0000-5678"
    assert redacted(file, b"PASSWORD=hunter2") == b"PASSWORD=<redacted>"


def test_a_disabled_rule_is_not_used(file: Path) -> None:
    assert redacted(file, b"AKIAABCDEFGHIJKLMNOP") == b"AKIAABCDEFGHIJKLMNOP"


def test_a_rule_of_the_same_name_replaces_the_shipped_one(file: Path) -> None:
    file.write_text("rules: {aws_key: {about: x, pattern: '(AK47)'}}")

    assert redacted(file, b"AK47 AKIAABCDEFGHIJKLMNOP") == b"<redacted> AKIAABCDEFGHIJKLMNOP"


def test_a_rule_of_the_site_may_use_the_shipped_definitions(file: Path) -> None:
    file.write_text("rules: {mine: {about: x, pattern: 'shh <word>', harmless: ['<reference>']}}")

    assert redacted(file, b"shh 'a b'\nshh $X\n") == b"shh '<redacted>'\nshh $X\n"


@pytest.mark.parametrize("text", ["", "{}", "rules: {}"])
def test_a_file_of_nothing_leaves_the_shipped_rules(file: Path, text: str) -> None:
    file.write_text(text)

    assert [rule.name for rule in load_rules(file)] == [rule.name for rule in load_rules()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: {a: {about: x, pattern: '('}}", "1: rules.a.pattern: not an expression of RE2: missing ): ("),
        ("rules: {a: {about: x, pattern: 'x'}}", "1: rules.a.pattern: needs a group (…) around the secret"),
        (
            "rules:\n  a:\n    about: x\n    pattern: '(x)'\n    unless: [y, '*']",
            "5: rules.a.unless[1]: not an expression of RE2: no argument for repetition operator: *",
        ),
        ("rules: {a: {pattern: '(x)'}}", "1: rules.a.about: required"),
        ("rules: {a: {about: x, patern: '(x)'}}", '1: rules.a.patern: unknown key (did you mean "pattern"?)'),
        ("rules: {a: {about: x, pattern: 5}}", "1: rules.a.pattern: must be a string, got 5"),
        ("rules: {a: {about: x, pattern: '(<wrod>)'}}", "1: rules.a.pattern: there is no definition of the name wrod"),
        (
            "definitions: {a: 'x<b>', b: '<a>'}\nrules: {a: {about: x, pattern: '(<a>)'}}",
            "2: rules.a.pattern: its definitions contain themselves",
        ),
        ("disabled: [nothing]", "1: disabled[0]: there is no rule of the name nothing"),
        ("rules: [a]", "1: rules: must be a mapping, got a list"),
        ("rules: {", "not valid YAML"),
    ],
)
def test_a_mistake_names_line_rule_and_field(file: Path, text: str, message: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_rules(file)

    assert f"{file}:{message}" in str(caught.value) or message in str(caught.value)
    assert str(caught.value).startswith(f"{file}:")


def test_a_group_may_have_a_name(file: Path) -> None:
    file.write_text("rules: {a: {about: x, pattern: 'shh [<](?P<key>[a-z]+)>'}}")

    assert redacted(file, b"shh <abc>") == b"shh <<redacted>>"


def test_an_expression_that_backtracks_is_refused(file: Path) -> None:
    """RE2 has no look-around and no back-references, which cannot be matched in linear time."""
    file.write_text("rules: {a: {about: x, pattern: '(a)(?=b)'}}")

    with pytest.raises(ConfigError, match=r"rules\.a\.pattern: not an expression of RE2"):
        load_rules(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yml: cannot read: No such file or directory"):
        load_rules(tmp_path / "no.yml")
