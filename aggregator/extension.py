"""What a part of another package is made of: all that it needs of the service is imported from here.

The entry point of the group `hpc_aggregator.parts` names an Extension. docs/extending.md has a whole example.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from aggregator.document.section import PasswordSection, Section
from aggregator.document.types import Count, Duration, File, Interval, Names, Port, Text, Texts, Url
from aggregator.engine.column import Column, DeclarationError, Family, Sample, Table
from aggregator.engine.frame import Frames, add_columns, frame_of, ratio, total
from aggregator.engine.part import Inputs, Part
from aggregator.sources.base import FetchError, Source
from aggregator.sources.prometheus.client import PrometheusClient
from aggregator.sources.prometheus.nodes import NodeNames

__all__ = [
    "Column",
    "Count",
    "DeclarationError",
    "Duration",
    "Extension",
    "Family",
    "FetchError",
    "File",
    "Frames",
    "Inputs",
    "Interval",
    "Lent",
    "Names",
    "NodeNames",
    "Part",
    "PasswordSection",
    "Port",
    "PrometheusClient",
    "Sample",
    "Section",
    "Source",
    "Table",
    "Text",
    "Texts",
    "Url",
    "add_columns",
    "frame_of",
    "ratio",
    "total",
]

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """What the service lends the sources of a part: all of one cluster.

    key is the path of the part's section, with which its errors begin. matchers are those of `prometheus.matchers`, by
    label. at_the_end takes what is to be awaited when the sources are read no more, such as the close of a session.
    """

    cluster: str
    key: str
    prometheus: PrometheusClient
    matchers: Mapping[str, str]
    nodes: NodeNames
    at_the_end: Callable[[Callable[[], Awaitable[None]]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension(Generic[S]):
    """A part of clusters, its section below `clusters.<name>.parts`, and what makes its sources.

    sources is called once for each cluster that has the section, connects to nothing, and gives sources whose names are
    that of the part, or begin with it and `_`. Each brings one input: an object of a class of its own.
    """

    part: Part
    section: type[S]
    sources: Callable[[S, Lent], Iterable[Source[object]]]
