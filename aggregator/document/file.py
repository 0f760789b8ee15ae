"""Read a small file of its own schema strictly: every mistake with its line."""

from os import PathLike
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from aggregator.document.mistake import ConfigError, KeyPath
from aggregator.document.reading import Document, read_document, read_text
from aggregator.document.section import Section
from aggregator.document.wording import explain

S = TypeVar("S", bound=Section)


def load_section(path: str | PathLike[str], kind: type[S]) -> tuple[S, Document]:
    """Read the file at *path* as one section, or raise ConfigError with every mistake."""
    document = read_document(read_text(path))
    found: list[tuple[KeyPath, str]] = []
    if not document.mistakes:
        try:
            return kind.model_validate(document.data or {}, context={"directory": Path(path).parent}), document
        except ValidationError as error:
            found = list(explain(error, document, kind))
    raise ConfigError(document.locate(found, str(path)))
