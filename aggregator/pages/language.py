"""The languages of the pages: which one a reader gets, its sentences and the way in which it writes numbers.

A language is one file of `locale/`, which is read at the start: nothing is compiled.
"""

import functools
import gettext
import io
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

from aiohttp import web
from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

# The first is what the sentences are written in, and what everybody gets who asks for none of them.
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "fr": "Français"}
DEFAULT: Final = "en"
# The parameter of every page, and the cookie that remembers it.
CHOICE: Final = "lang"
_MOST_TAGS: Final = 10


class Language:
    """One language: call it with a sentence, and with what stands for its %(names)s."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.locale = Locale.parse(code)
        self.catalog = _catalog(code)

    def __call__(self, message: str, **values: Any) -> str:
        """Give a sentence in this language; one that is not known stays as it is."""
        text = self.catalog.gettext(message) if message else ""
        return text % values if values else text

    def ngettext(self, one: str, many: str, count: float, **values: Any) -> str:
        """Give a sentence in the form that goes with a number."""
        # French counts what is below 2 as one; English only 1 itself.
        whole = int(count) if self.code == "fr" or count == int(count) else 2
        return self.catalog.ngettext(one, many, whole) % {"n": count, **values}

    def knows(self, message: str) -> bool:
        """Tell whether a sentence that is not ours is in this language."""
        return self.code == DEFAULT or self.catalog.gettext(message) != message


@functools.cache
def language(code: str) -> Language:
    """Give a language of LANGUAGES."""
    return Language(code)


def language_of(request: web.Request) -> Language:
    """Give the language that a reader has chosen, else the first that the browser asks for, else English."""
    for code in (request.query.get(CHOICE), request.cookies.get(CHOICE), *_accepted(request)):
        if code in LANGUAGES:
            return language(code)
    return language(DEFAULT)


def _accepted(request: web.Request) -> Sequence[str]:
    """List the languages of Accept-Language, the most wanted first; of `fr-CA` the language alone."""
    tags = request.headers.get("Accept-Language", "").split(",")[:_MOST_TAGS]
    weighed = [
        (_weight(parameters), tag.strip().lower()) for tag, _, parameters in (each.partition(";") for each in tags)
    ]
    wanted = sorted((each for each in weighed if each[0] > 0), key=lambda each: -each[0])
    return [tag.partition("-")[0] for _, tag in wanted]


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0


def _catalog(code: str) -> gettext.NullTranslations:
    if code == DEFAULT:
        return gettext.NullTranslations()
    text = resources.files("aggregator.pages").joinpath("locale", f"{code}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(text), locale=code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
