"""Several instant queries at one evaluation time: those that fail are named, the others are there."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import polars as pl

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.expression import Expression
from aggregator.sources.prometheus.vector import VectorQuery

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """The vectors by input name, and the errors of those that failed."""

    vectors: Mapping[str, T]
    failed: Mapping[str, str]

    def replaced(self, newer: "Answers[T]") -> "Answers[T]":
        """Put the outcome of a second question in place of the first one's."""
        asked = newer.vectors.keys() | newer.failed.keys()
        return Answers(
            {**{name: found for name, found in self.vectors.items() if name not in asked}, **newer.vectors},
            {**{name: error for name, error in self.failed.items() if name not in asked}, **newer.failed},
        )


async def ask_all(client: PrometheusClient, queries: Mapping[str, str], at: float) -> Answers[Sequence[Sample]]:
    """Evaluate each named query at `at`, all of them at once."""
    return await _outcomes({name: client.query(query, at) for name, query in queries.items()})


async def ask_columns(client: PrometheusClient, queries: Mapping[str, VectorQuery], at: float) -> Answers[pl.DataFrame]:
    """Evaluate as `ask_all` does, and give each vector as columns."""
    return await _outcomes({name: client.query_columns(query, at) for name, query in queries.items()})


async def _outcomes(questions: Mapping[str, Awaitable[T]]) -> Answers[T]:
    vectors: dict[str, T] = {}
    failed: dict[str, str] = {}

    async def ask(name: str, question: Awaitable[T]) -> None:
        try:
            vectors[name] = await question
        except FetchError as error:
            failed[name] = str(error)

    async with asyncio.TaskGroup() as group:
        for name, question in questions.items():
            group.create_task(ask(name, question))
    return Answers(vectors, failed)


def plausible_value(item: Expression, name: str, sample: Sample, rejected: Counter[str]) -> float | None:
    """Read a sample's value in its base unit; one that cannot be is dropped and counted by the input's name."""
    value = item.plausible(sample.value[1])
    if value is None:
        rejected[f"{name} out of range"] += 1
    return value


def values_by(
    label: str, item: Expression, name: str, vector: Sequence[Sample], rejected: Counter[str]
) -> Iterator[tuple[str, float]]:
    """Give the value of each sample in base units by one of its labels; what cannot be is left out and counted."""
    for sample in vector:
        value = plausible_value(item, name, sample, rejected)
        if value is not None:
            yield sample.metric.get(label, ""), value
