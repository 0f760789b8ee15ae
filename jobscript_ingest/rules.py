"""The table of redaction rules: the one that is shipped, and what a site adds to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from aggregator.document.file import load_section
from aggregator.document.mistake import ConfigError, KeyPath, Mistake, format_path
from aggregator.document.reading import Document
from aggregator.document.section import Section
from jobscript_ingest.redact import Pattern, PatternError, Rule

# Not the name of a group, (?P<name>…).
_PLACE: Final = re.compile(r"(?<!\(\?P)<([a-z][a-z0-9_]*)>")
_DEPTH: Final = 5

# Names are values of a metric's label.
_Name = Annotated[str, StringConstraints(min_length=1, max_length=60)]
_Text = Annotated[str, StringConstraints(min_length=1)]


class RuleSection(Section):
    """One rule as it is written."""

    about: _Text
    pattern: _Text
    unless: Annotated[tuple[_Text, ...], Field(strict=False)] = ()
    harmless: Annotated[tuple[_Text, ...], Field(strict=False)] = ()


class RulesFile(Section):
    """A table of rules; `disabled` names those of the shipped table that are not used."""

    definitions: dict[_Name, _Text] = Field(default_factory=dict)
    disabled: Annotated[tuple[_Text, ...], Field(strict=False)] = ()
    rules: dict[_Name, RuleSection] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Table:
    file: str
    section: RulesFile
    document: Document


def load_rules(file: Path | None = None) -> tuple[Rule, ...]:
    """Read the shipped rules and those of `file`, which win where names are equal.

    Raises ConfigError that names each rule and field that is wrong.
    """
    with as_file(files("jobscript_ingest") / "redaction.yml") as path:
        shipped = _read(path)
    if file is None:
        return tuple(_compiled([shipped]).values())
    site = _read(file)
    _check_disabled(site, shipped)
    rules = _compiled([shipped, site])
    return tuple(rule for name, rule in rules.items() if name not in site.section.disabled)


def _read(path: Path) -> _Table:
    return _Table(str(path), *load_section(path, RulesFile))


def _check_disabled(site: _Table, shipped: _Table) -> None:
    unknown: list[tuple[KeyPath, str]] = [
        (("disabled", index), f"there is no rule of the name {name}")
        for index, name in enumerate(site.section.disabled)
        if name not in shipped.section.rules
    ]
    if unknown:
        raise _error(site, unknown)


def _compiled(tables: list[_Table]) -> dict[str, Rule]:
    definitions: dict[str, str] = {}
    rules: dict[str, Rule] = {}
    for table in tables:
        definitions |= table.section.definitions
        mistakes: list[tuple[KeyPath, str]] = []
        for name, section in table.section.rules.items():
            compiler = _Compiler(("rules", name), definitions, mistakes)
            rule = compiler.rule(name, section)
            if rule:
                rules[name] = rule
        if mistakes:
            raise _error(table, mistakes)
    return rules


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compile the rule at one place of a file; what is wrong with it is added to the mistakes."""

    at: KeyPath
    definitions: Mapping[str, str]
    mistakes: list[tuple[KeyPath, str]]

    def rule(self, name: str, section: RuleSection) -> Rule | None:
        """Compile a rule, or give None when its pattern is wrong."""
        pattern = self._pattern(section.pattern, "pattern")
        if pattern and not pattern.groups:
            self.mistakes.append(((*self.at, "pattern"), "needs a group (…) around the secret"))
        unless, harmless = self._any_of(section.unless, "unless"), self._any_of(section.harmless, "harmless")
        return Rule(name, pattern, unless, harmless) if pattern else None

    def _any_of(self, texts: tuple[str, ...], field: str) -> Pattern | None:
        """Make one expression of many, which is asked once instead of many times."""
        patterns = [self._pattern(text, field, index) for index, text in enumerate(texts)]
        if not patterns or None in patterns:
            return None
        return self._pattern("|".join(f"(?:{text})" for text in texts), field)

    def _pattern(self, text: str, *place: str | int) -> Pattern | None:
        try:
            return Pattern(_expanded(text, self.definitions))
        except PatternError as error:
            self.mistakes.append(((*self.at, *place), str(error)))
            return None


def _expanded(text: str, definitions: Mapping[str, str]) -> str:
    """Put definitions in the place of their names; they may use others.

    Raises PatternError.
    """
    for _ in range(_DEPTH):
        unknown = [name for name in _PLACE.findall(text) if name not in definitions]
        if unknown:
            raise PatternError(f"there is no definition of the name {unknown[0]} (a plain < is written [<])")
        text = _PLACE.sub(lambda place: definitions[place[1]], text)
    if _PLACE.search(text):
        raise PatternError("its definitions contain themselves, or others more than five deep")
    return text


def _error(table: _Table, mistakes: list[tuple[KeyPath, str]]) -> ConfigError:
    return ConfigError(
        [Mistake(table.file, table.document.origin(at).line, format_path(at), text) for at, text in mistakes]
    )
