"""Declare what the public pages of a site show."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from aggregator.document.section import Section
from aggregator.document.types import Text, must_be
from aggregator.model.software import Software as KnownSoftware


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise must_be("a regular expression", str(error)) from None
    return text


Pattern = Annotated[Text, AfterValidator(_check_pattern)]


class Software(Section):
    """Name the software whose executables have a path in which the pattern is found."""

    name: Text
    pattern: Pattern

    def to_model(self) -> KnownSoftware:
        """Give the software as the join knows it."""
        return KnownSoftware(self.name, re.compile(self.pattern))


class Public(Section):
    """Say how executables become software: the first pattern that is found names it."""

    software: Annotated[tuple[Software, ...], Field(strict=False)] = ()
