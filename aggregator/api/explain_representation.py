"""How the explanation of a run looks in JSON: its rules, its values, and what sources were asked for them."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Template
from typing import Any, Final, NotRequired, TypedDict

import polars as pl

from aggregator.api.answer import Epoch, Time
from aggregator.api.representation import Json, Row, rule_text, times
from aggregator.engine.column import Column
from aggregator.engine.listed import Listed
from aggregator.model.question import Question, Questions
from aggregator.model.view import ClusterView
from aggregator.model.waste import FIELDS, SEVERITIES, ConditionCompared, Judgement, RuleExplained
from aggregator.parts.waste.judge import explain_rules
from aggregator.parts.waste.observation import Observation
from aggregator.parts.waste.rules import Compiled

# Base units are the end of a column's name.
_UNIT: Final = re.compile(
    r"(?:^|_)(bytes_per_second|operations_per_second|timestamp_seconds|seconds|bytes|ratio|watts|joules|grams|cpus|gpus"
    r"|nodes|threads)(?:_total|_observed|_busy|_judged)?$"
)
# Prefixed to the name of an input, it means the answer with what is not plausible.
_EVERY: Final = "every_"
_UNREAD: Final = "not read: its source is not configured, or does not answer"
_ENDED: Final = "the run has ended: its last values were kept"
_ON_DEMAND: Final = "read for this answer, or some seconds before"
# Once a run has ended its use is what it was; what slurmacct and the ledger say of it is new.
_LASTING: Final = ("slurmacct", "ledger")


class ConditionShown(TypedDict):
    """A condition of a rule, and the value that it is compared with."""

    field: str
    meaning: str
    value: float | None
    unit: str
    coverage: float | None
    least_coverage: float
    operator: str
    threshold: float
    holds: bool | None
    because: str | None


class LevelShown(TypedDict):
    """The conditions of a severity."""

    severity: str
    conditions: list[ConditionShown]


class BetterShown(TypedDict):
    """A rule that says the same better."""

    rule: str
    holds: bool | None


class RuleShown(TypedDict):
    """How a rule judges the run."""

    rule: str
    result: str
    severity: str | None
    because: str | None
    resource: str
    message: str
    fix: str | None
    documentation: str | None
    applies: bool | None
    minimum_runtime_seconds: float
    exempt: list[str]
    better: list[BetterShown]
    conditions: list[ConditionShown]
    levels: list[LevelShown]


class ValueShown(TypedDict):
    """A field of the list of jobs, and what it is made of."""

    name: str
    value: Any
    unit: str | None
    coverage: float | None
    meaning: str
    formula: str | None
    null: str | None
    inputs: list[str]
    promql: str | None


class QueryShown(TypedDict):
    """What was asked for an input: of all jobs, and the same of this run alone.

    Where several exporters bring it, nodes are those of the run whose value is of this one.
    """

    input: str
    source: str | None
    exporter: NotRequired[str | None]
    meaning: NotRequired[str | None]
    nodes: NotRequired[list[str] | None]
    query: str | None
    because: str | None
    job_query: NotRequired[str | None]
    recorded: NotRequired[bool | None]
    evaluated_time: NotRequired[Time]
    evaluated_timestamp_seconds: NotRequired[Epoch]
    age_seconds: NotRequired[float | None]


class ExplanationShown(TypedDict):
    """How a run was judged, and what each of its numbers is made of."""

    id: str
    job_id: int
    run_id: str
    user: str
    account: str
    state: str
    cluster: str
    as_of_time: Time
    as_of_timestamp_seconds: Epoch
    verdict: str
    elapsed_seconds: float | None
    rules: list[RuleShown]
    values: list[ValueShown]
    queries: list[QueryShown]


@dataclass(frozen=True)
class Explained:
    """One run, a frame of its row of `jobs`; judgement is given for a run that is not in the snapshot."""

    view: ClusterView
    listed: Listed
    job: pl.DataFrame
    judgement: Judgement | None
    now: float

    def json(self) -> Json:
        """Give the data of the answer."""
        rules, row = self._rules(), self.row
        shown = self.listed.show(self.job, {}, ["id", *self.listed.columns]).row(0, named=True)
        values = [self._value(column, shown[name]) for name, column in self.listed.columns.items()]
        inputs = dict.fromkeys(name for column in self.listed.columns.values() for name in column.inputs)
        return {
            "id": shown["id"],
            **{name: shown[name] for name in ("job_id", "run_id", "user", "account", "state")},
            "cluster": self.view.cluster,
            **times("as_of", self.view.time),
            "verdict": _verdict(str(shown["id"]), rules, has_gpus=row["granted_gpus"] != 0),
            "elapsed_seconds": row["elapsed_seconds"],
            "rules": _rules_json(rules),
            "values": values,
            "queries": [query for name in inputs for query in self._queries(name)],
        }

    def rules_json(self) -> list[Json]:
        """Give how the run was judged alone."""
        return _rules_json(self._rules())

    @cached_property
    def row(self) -> Row:
        """Give the columns of the run."""
        return self.job.row(0, named=True)

    @cached_property
    def _asked(self) -> Questions:
        return self.view.context.get(Questions) or Questions()

    def _rules(self) -> Sequence[RuleExplained]:
        compiled, observation = self.view.context.get(Compiled), self.view.context.get(Observation)
        return explain_rules(self.job, compiled, observation, self.judgement) if compiled and observation else ()

    def _value(self, column: Column, value: Any) -> Json:
        is_number = self.listed.table.schema[column.name].is_numeric()
        unit, sample = _UNIT.search(column.name) if is_number else None, column.sample
        return {
            "name": column.name,
            "value": value,
            "unit": unit[1].replace("_", " ") if unit else None,
            "coverage": self.row[column.coverage] if column.coverage else None,
            "meaning": column.help,
            # A family of several columns says where all of them are from.
            "formula": None if sample is None or sample.constant or sample.labels else sample.family.source,
            "null": column.null if value is None else None,
            "inputs": list(column.inputs),
            "promql": None if value is None or not self._is_of_now else self._promql(column),
        }

    @cached_property
    def _is_of_now(self) -> bool:
        """Tell whether what the answers of the refresh say is what is shown: not of a run that has ended.

        Of one that a resize has made only what was added counts.
        """
        runs = self.view.runs.runs.filter(pl.col("run_id") == self.row["run_id"])
        holds = self.row["is_open"] and self.row["state"] in ("running", "suspended")
        return self.judgement is None and holds and runs["job_start"].null_count() == runs.height

    def _promql(self, column: Column) -> str | None:
        """Write the query that gives the value of this run alone; None where one cannot."""
        written = {name: self._term(column, name) for name in Template(column.promql).get_identifiers()}
        if not written or None in written.values():
            return None
        return Template(column.promql).substitute(written)

    def _term(self, column: Column, name: str) -> str | None:
        asked = name.removeprefix(_EVERY)
        if asked not in column.inputs:
            value = self.row.get(name)
            return None if value is None else repr(value)
        questions = self._asked.by_input.get(asked, ())
        # Of several exporters that show one thing, one may have been chosen for all nodes.
        used = questions if len(questions) == 1 else [each for each in questions if self._nodes(asked, each)]
        return self._of_job(used[0], every=name != asked) if len(used) == 1 else None

    def _nodes(self, name: str, question: Question) -> list[str] | None:
        return self._asked.nodes_of(name, question, self.row["job_id"])

    def _of_job(self, question: Question, *, every: bool = False) -> str | None:
        if question.of_job is None:
            return None
        text = question.of_job(self.row["job_id"], self.row["nodes"] or ())
        low = "" if every or math.isinf(question.low) else f" >= {question.low:g}"
        return text + low + ("" if every or math.isinf(question.high) else f" <= {question.high:g}")

    def _queries(self, name: str) -> Iterator[Json]:
        """Say what was asked for an input: of all jobs as it was sent, and of this one alone."""
        questions = self._asked.by_input.get(name, ())
        if not questions:
            yield {"input": name, "source": None, "query": None, "because": _UNREAD}
        for each in questions:
            because = self._not_of_now(name)
            at = None if because else each.at
            yield {
                "input": name,
                "source": each.source,
                "exporter": each.exporter or None,
                "meaning": each.meaning or None,
                "nodes": self._nodes(name, each),
                "query": each.text,
                "job_query": self._of_job(each),
                "recorded": each.recorded,
                **times("evaluated", at),
                "age_seconds": None if at is None else max(0.0, self.now - at),
                "because": because or None,
            }

    def _not_of_now(self, name: str) -> str:
        """Say why the value of an input is not of the refresh's time; "" where it is."""
        if name == "slurmacct" and self.judgement is not None:
            return _ON_DEMAND
        return _ENDED if not self.row["is_open"] and name not in _LASTING else ""


def _rules_json(rules: Sequence[RuleExplained]) -> list[Json]:
    return [_rule_json(each) for each in rules]


def _rule_json(each: RuleExplained) -> Json:
    rule = each.rule
    return {
        "rule": rule.name,
        "result": each.result,
        "severity": each.severity,
        "because": each.because or None,
        **rule_text(rule),
        "applies": each.applies,
        "minimum_runtime_seconds": rule.minimum_runtime,
        "exempt": list(each.exemptions),
        "better": [{"rule": name, "holds": stands} for name, stands in each.better.items()],
        "conditions": [_condition_json(one, rule.coverage) for one in each.common],
        "levels": [
            {"severity": severity, "conditions": [_condition_json(one, rule.coverage) for one in conditions]}
            for severity, conditions in each.levels.items()
        ],
    }


def _condition_json(compared: ConditionCompared, least: float) -> Json:
    condition = compared.condition
    return {
        "field": condition.field,
        "meaning": FIELDS[condition.field].meaning,
        "value": compared.value,
        "unit": FIELDS[condition.field].unit,
        "coverage": compared.coverage,
        "least_coverage": least,
        "operator": condition.operator,
        "threshold": condition.threshold,
        "holds": compared.holds,
        "because": compared.unknown or None,
    }


def _verdict(job: str, every: Sequence[RuleExplained], *, has_gpus: bool) -> str:
    """Say in one sentence what the rules say; those about GPUs are silent of a run without any."""
    rules = [each for each in every if has_gpus or each.rule.resource != "gpu"]
    found = sorted(
        (each for each in rules if each.severity), key=lambda each: SEVERITIES.index(each.severity or "warning")
    )
    if found:
        named = " and ".join(f"{each.rule.name} ({each.severity})" for each in found)
        message = found[0].rule.message
        return f"Job {job} is accused of {named}: {message[0].lower()}{message[1:]}"
    because = [each.because for each in rules if each.because]
    if because and len(because) == len(rules) and len(set(because)) == 1:
        return f"Job {job} is not judged: {because[0]}."
    not_judged = f"; {len(because)} of {len(rules)} rules are not judged" if because else ""
    return f"Job {job} is not accused of waste{not_judged}."
