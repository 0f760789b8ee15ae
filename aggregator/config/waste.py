"""Read rules of waste: the shipped ones, and a site's file that changes, adds or disables some of them."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, PlainValidator, ValidationError, ValidationInfo

from aggregator.config.schema import Exemption, WasteExemption
from aggregator.document.mistake import ConfigError, KeyPath
from aggregator.document.reading import quote, read_document, read_text
from aggregator.document.section import Section
from aggregator.document.types import (
    Duration,
    NotEmpty,
    Ratio,
    RuleName,
    Text,
    Texts,
    must_be,
    parse_duration,
    read_amount,
    read_duration,
    read_ratio,
    read_size,
)
from aggregator.document.wording import explain
from aggregator.model.waste import (
    COVERAGE_FLOOR,
    FIELDS,
    SEVERITIES,
    Condition,
    Level,
    Operator,
    Resource,
    Rule,
    Unit,
)

SHIPPED: Final = Path(__file__).parent / "waste_rules.yml"
_THRESHOLDS: Final[Mapping[Unit, Callable[[object], float]]] = {
    "ratio": read_ratio, "seconds": read_duration, "bytes": read_size, "cpus": read_amount, "gpus": read_amount,
    "nodes": read_amount,
}  # fmt: skip


def _read_field(value: object) -> str:
    if isinstance(value, str) and value in FIELDS:
        return value
    close = difflib.get_close_matches(str(value), FIELDS, n=1)
    raise must_be(f"a field ({', '.join(FIELDS)})", f'did you mean "{close[0]}"?' if close else "")


def _read_threshold(value: object, info: ValidationInfo) -> float:
    # Without a known field nothing can be said of its threshold.
    field = info.data.get("field")
    return 0.0 if field is None else _THRESHOLDS[FIELDS[field].unit](value)


class ConditionSection(Section):
    """Compare a field with a threshold, which is written in the field's unit."""

    field: Annotated[str, PlainValidator(_read_field)]
    operator: Operator
    threshold: Annotated[float, PlainValidator(_read_threshold)]

    def to_model(self) -> Condition:
        """Give the condition as the judge knows it."""
        return Condition(self.field, self.operator, self.threshold)


Conditions = Annotated[tuple[ConditionSection, ...], Field(strict=False), NotEmpty]


class RuleSection(Section):
    """Declare a rule, or some keys of a shipped one."""

    enabled: bool = True
    resource: Resource | None = None
    message: Text | None = None
    fix: str = ""
    documentation: str = ""
    minimum_runtime: Duration = parse_duration("30m")
    coverage: Ratio = COVERAGE_FLOOR
    conditions: Conditions = ()
    warning: Conditions = ()
    critical: Conditions = ()
    unless: Texts = ()
    exemptions: Annotated[tuple[Exemption, ...], Field(strict=False)] = ()

    def changed_by(self, other: "RuleSection") -> "RuleSection":
        """Give this rule with the keys that the other one writes."""
        return self.model_copy(update={key: getattr(other, key) for key in other.model_fields_set})

    def to_model(self, name: str) -> Rule:
        """Give the rule as the judge knows it; it must be complete."""
        assert self.resource
        assert self.message
        return Rule(
            name=name,
            resource=self.resource,
            message=self.message,
            levels=tuple(
                Level(severity, tuple(condition.to_model() for condition in conditions))
                for severity in SEVERITIES
                if (conditions := getattr(self, severity))
            ),
            conditions=tuple(condition.to_model() for condition in self.conditions),
            minimum_runtime=self.minimum_runtime,
            coverage=self.coverage,
            fix=self.fix,
            documentation=self.documentation,
            unless=frozenset(self.unless),
            exemptions=tuple(exemption.to_model() for exemption in self.exemptions),
        )


Rules = Mapping[str, RuleSection]


class WasteRules(Section):
    """Hold the whole file."""

    rules: dict[RuleName, RuleSection] = Field(default_factory=dict)


def load_rules(file: Path | None = None) -> Rules:
    """Read the shipped rules as the file at *file* changes them, or raise ConfigError with every mistake of it."""
    shipped = _load(SHIPPED, {})
    return _load(file, shipped) if file else shipped


def active_rules(rules: Rules) -> tuple[Rule, ...]:
    """Give the rules that are enabled."""
    return tuple(rule.to_model(name) for name, rule in rules.items() if rule.enabled)


def check_exemptions(exemptions: Iterable[WasteExemption], rules: Rules) -> Iterator[tuple[KeyPath, str]]:
    """Find the rules that `waste.exemptions` name and that there are not."""
    for index, exemption in enumerate(exemptions):
        yield from _unknown(("waste", "exemptions", index, "rules"), exemption.rules, rules)


def _load(file: Path, shipped: Rules) -> Rules:
    document = read_document(read_text(file))
    try:
        written = WasteRules.model_validate(document.data).rules
    except ValidationError as error:
        found = [each for each in explain(error, document, WasteRules) if each[0] not in document.refused]
    else:
        changed = {name: shipped.get(name, RuleSection()).changed_by(rule) for name, rule in written.items()}
        rules = {**shipped, **changed}
        found = [mistake for name in written for mistake in _check(name, rules, shipped)]
        found += _circle(rules, written)
        if not found and not document.mistakes:
            return rules
    raise ConfigError(document.locate(found, str(file)))


def _check(name: str, rules: Rules, shipped: Rules) -> Iterator[tuple[KeyPath, str]]:
    """Find what a rule lacks, and the rules that it names and that there are not."""
    rule, path = rules[name], ("rules", name)
    new = f"required for a new rule (shipped are {', '.join(shipped)})"
    for key in ("resource", "message"):
        if getattr(rule, key) is None:
            yield (*path, key), new
    if not rule.warning and not rule.critical:
        yield (*path, "warning"), "required: conditions for warning, critical or both"
    yield from _unknown((*path, "unless"), rule.unless, rules)


def _unknown(path: KeyPath, names: Iterable[str], rules: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    for index, name in enumerate(names):
        if name not in rules:
            yield (*path, index), f"must be a rule ({', '.join(rules)}), got {quote(name)}"


def _circle(rules: Rules, written: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    """Find rules that would each give way to the other."""
    try:
        TopologicalSorter({name: rule.unless for name, rule in rules.items()}).prepare()
    except CycleError as error:
        circle = error.args[1]
        named = next(name for name in circle if name in written)
        yield ("rules", named, "unless"), f"must not lead back to the rule itself ({' → '.join(circle)})"
