"""Read a small file of its own schema strictly: every mistake with its line."""

from os import PathLike
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from aggregator.config.document import Document, read_document
from aggregator.config.mistake import ConfigError, Mistake, format_path
from aggregator.config.section import Section
from aggregator.config.wording import explain

S = TypeVar("S", bound=Section)


def load_section(path: str | PathLike[str], kind: type[S]) -> tuple[S, Document]:
    """Read the file at *path* as one section, or raise ConfigError with every mistake."""
    filename = str(path)
    try:
        document = read_document(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}"
        raise ConfigError([Mistake(filename, None, "", problem)]) from None
    found = list(document.mistakes)
    if not found:
        try:
            return kind.model_validate(document.data or {}, context={"directory": Path(path).parent}), document
        except ValidationError as error:
            found = [(at, document.origin(at).line, message) for at, message in explain(error, document, kind)]
    raise ConfigError([Mistake(filename, line, format_path(at), message) for at, line, message in found])
