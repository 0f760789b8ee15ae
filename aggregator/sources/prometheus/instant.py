"""Several instant queries at one evaluation time: those that fail are named, the others are there."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aggregator.sources.base import FetchError
from aggregator.sources.prometheus.client import PrometheusClient, Sample
from aggregator.sources.prometheus.expression import Expression


@dataclass(frozen=True, slots=True)
class Answers:
    """The vectors by input name, and the errors of those that failed."""

    vectors: Mapping[str, Sequence[Sample]]
    failed: Mapping[str, str]

    def replaced(self, newer: "Answers") -> "Answers":
        """Put the outcome of a second question in place of the first one's."""
        asked = newer.vectors.keys() | newer.failed.keys()
        return Answers(
            {**{name: found for name, found in self.vectors.items() if name not in asked}, **newer.vectors},
            {**{name: error for name, error in self.failed.items() if name not in asked}, **newer.failed},
        )


async def ask_all(client: PrometheusClient, queries: Mapping[str, str], at: float) -> Answers:
    """Evaluate each named query at `at`, all of them at once."""
    vectors: dict[str, Sequence[Sample]] = {}
    failed: dict[str, str] = {}

    async def ask(name: str, query: str) -> None:
        try:
            vectors[name] = await client.query(query, at)
        except FetchError as error:
            failed[name] = str(error)

    async with asyncio.TaskGroup() as group:
        for name, query in queries.items():
            group.create_task(ask(name, query))
    return Answers(vectors, failed)


def job_id_of(text: str) -> int | None:
    """Read a label's value as a job id; None where it is none."""
    return int(text) if text.isdecimal() and len(text) <= 10 else None


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
