"""Read a configuration file whole, or say everything that is wrong with it."""

from os import PathLike
from pathlib import Path

from pydantic import ValidationError

from aggregator.config.checks import check
from aggregator.config.document import Document, read_document
from aggregator.config.mistake import ConfigError, KeyPath, Mistake, format_path
from aggregator.config.schema import Config
from aggregator.config.warning import find_warnings
from aggregator.config.wording import explain


def load(path: str | PathLike[str]) -> Config:
    """Read the file at *path*, or raise ConfigError with every mistake."""
    filename = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = f"cannot read: {error.strerror}"
    except UnicodeDecodeError:
        problem = "cannot read: not UTF-8 text"
    else:
        return parse(text, filename)
    raise ConfigError([Mistake(filename, None, "", problem)])


def parse(text: str, filename: str = "config.yml") -> Config:
    """Read *text*, or raise ConfigError; relative paths are read from the folder of *filename*."""
    document = read_document(text)
    config, errors = _validate(document, Path(filename).parent)
    mistakes = _collect(document, errors, filename)
    if config is None or mistakes:
        # Raised here, outside of any except block: a chained pydantic error could show values.
        raise ConfigError(mistakes)
    config._warnings = find_warnings(config, document.data)
    return config


def _validate(document: Document, directory: Path) -> tuple[Config | None, list[tuple[KeyPath, str]]]:
    try:
        return Config.model_validate(document.data, context={"directory": directory}), []
    except ValidationError as error:
        return None, list(explain(error, document))


def _collect(document: Document, errors: list[tuple[KeyPath, str]], filename: str) -> list[Mistake]:
    found = list(document.mistakes)
    if document.origins or not document.mistakes:
        # What YAML said of a value explains what the schema would say after it.
        later = (error for error in (*errors, *check(document)) if error[0] not in document.refused)
        found += [(path, document.origin(path).line, message) for path, message in later]
    found.sort(key=lambda mistake: (mistake[1], format_path(mistake[0])))
    return [Mistake(filename, line, format_path(path), message) for path, line, message in found]
