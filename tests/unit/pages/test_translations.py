"""Every sentence of the pages is in every language."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

from aggregator.config import load_rules
from aggregator.model.node import EXPLANATIONS
from aggregator.model.waste import FIELDS
from aggregator.pages.language import DEFAULT, LANGUAGES

PAGES = Path(__file__).parents[3] / "aggregator" / "pages"
KEYWORDS = ("_", "gettext", "language", "ngettext")
OPTIONS = {"extensions": "jinja2.ext.i18n,jinja2.ext.do", "trim_blocks": "true", "lstrip_blocks": "true"}
OTHERS = sorted(LANGUAGES.keys() - {DEFAULT})
Key = str | tuple[str, str]


def _calls() -> Iterator[tuple[str, object]]:
    for file in sorted(PAGES.rglob("*.py")):
        with file.open("rb") as opened:
            yield from ((name, args) for _, name, args, _ in extract_python(opened, KEYWORDS, [], {}))
    for file in sorted((PAGES / "templates").glob("*.html")):
        with file.open("rb") as opened:
            yield from ((name, args) for _, name, args, _ in babel_extract(opened, KEYWORDS, [], OPTIONS))


def said() -> set[Key]:
    """Give the sentences that pages have themselves: of two forms, both."""
    found: set[Key] = set()
    for name, args in _calls():
        texts = args if isinstance(args, tuple) else (args,)
        if isinstance(texts[0], str):
            found.add((texts[0], texts[1]) if name == "ngettext" else texts[0])
    return found


def told() -> set[Key]:
    """Give the sentences of the shipped rules, of what they compare, and of nodes."""
    rules = load_rules()
    of_rules = {text for rule in rules.values() for text in (rule.message, rule.fix) if text}
    return of_rules | {field.meaning for field in FIELDS.values()} | set(EXPLANATIONS.values())


def _translated(code: str) -> dict[Key, Message]:
    with (PAGES / "locale" / f"{code}.po").open("rb") as opened:
        return {message.id: message for message in read_po(opened, locale=code) if message.id}  # type: ignore[misc]


@pytest.mark.parametrize("code", OTHERS)
def test_no_sentence_is_missing_and_none_is_left_over(code: str) -> None:
    known, needed = _translated(code), said() | told()
    assert needed - known.keys() == set()
    assert known.keys() - needed == set()


@pytest.mark.parametrize("code", OTHERS)
def test_each_translation_is_whole_and_has_the_same_values(code: str) -> None:
    for key, message in _translated(code).items():
        written = message.string if isinstance(message.string, tuple) else (message.string,)
        last = key[-1] if isinstance(key, tuple) else key
        assert all(written), key
        assert not message.fuzzy, key
        assert all(_values(text) <= _values(last) for text in written), key
        assert _values(written[-1]) == _values(last), key


def _values(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s|%%", text))
