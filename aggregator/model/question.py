"""What sources were asked for the numbers of a refresh, so that each number can be explained."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

# Write a question for one job on its nodes, in base units.
OfJob = Callable[[int, Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Question:
    """What a source was asked for an input: the text as it was sent, and the time of the answer (epoch seconds).

    recorded tells whether a recorded series was read. Values outside [low, high] were dropped. of_job is None for what
    cannot be asked of one job. exporter is whose series were read, "" where it is nobody's; meaning says of which kind
    its values are, where exporters differ.
    """

    source: str
    text: str
    at: float
    recorded: bool = False
    low: float = -math.inf
    high: float = math.inf
    of_job: OfJob | None = None
    exporter: str = ""
    meaning: str = ""


# By the input's name; several where more than one exporter shows the input.
ByInput = Mapping[str, tuple[Question, ...]]


@dataclass(frozen=True, slots=True)
class Questions:
    """All questions of a refresh that were answered.

    chosen says, of inputs that several exporters bring, whose value it is: job_id, node, exporter.
    """

    by_input: ByInput = field(default_factory=dict)
    chosen: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def nodes_of(self, name: str, question: Question, job_id: int) -> list[str] | None:
        """Give the nodes of a job whose value of an input is of this question; None where nothing was chosen."""
        chosen = self.chosen.get(name)
        if chosen is None:
            return None
        is_its = (pl.col("job_id") == job_id) & (pl.col("exporter") == question.exporter)
        return sorted(chosen.filter(is_its)["node"].to_list())
