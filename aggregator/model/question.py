"""What sources were asked for the numbers of a refresh, so that each number can be explained."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
    """All questions of a refresh that were answered."""

    by_input: ByInput = field(default_factory=dict)
