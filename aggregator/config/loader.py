"""Read a configuration file whole, or say everything that is wrong with it."""

from os import PathLike
from pathlib import Path

from pydantic import ValidationError

from aggregator.config.checks import check
from aggregator.config.installed import whole_config
from aggregator.config.schema import Config
from aggregator.config.warning import find_warnings
from aggregator.config.waste import active_rules, check_exemptions, load_rules
from aggregator.document.mistake import ConfigError, KeyPath, Mistake
from aggregator.document.reading import Document, read_document, read_text
from aggregator.document.wording import explain


def load(path: str | PathLike[str]) -> Config:
    """Read the file at *path*, or raise ConfigError with every mistake."""
    return parse(read_text(path), str(path))


def parse(text: str, filename: str = "config.yml") -> Config:
    """Read *text*, or raise ConfigError; relative paths are read from the folder of *filename*."""
    document = read_document(text)
    config, errors = _validate(document, Path(filename).parent)
    mistakes = _collect(document, errors, filename)
    if config is None or mistakes:
        # Raised here, outside of any except block: a chained pydantic error could show values.
        raise ConfigError(mistakes)
    config._warnings = find_warnings(config)
    rules = load_rules(config.waste.rules_file)
    if unknown := list(check_exemptions(config.waste.exemptions, rules)):
        raise ConfigError(document.locate(unknown, filename))
    config._rules = active_rules(rules)
    return config


def _validate(document: Document, directory: Path) -> tuple[Config | None, list[tuple[KeyPath, str]]]:
    try:
        return whole_config().model_validate(document.data, context={"directory": directory}), []
    except ValidationError as error:
        return None, list(explain(error, document, whole_config()))


def _collect(document: Document, errors: list[tuple[KeyPath, str]], filename: str) -> list[Mistake]:
    found: list[tuple[KeyPath, str]] = []
    if document.origins or not document.mistakes:
        # What YAML said of a value explains what the schema would say after it.
        found = [error for error in (*errors, *check(document)) if error[0] not in document.refused]
    return document.locate(found, filename)
