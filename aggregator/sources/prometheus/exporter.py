"""What is declared of an exporter: everything that is read of it, and which series it must show."""

from dataclasses import dataclass
from typing import NamedTuple

from aggregator.sources.prometheus.expression import Expression, Graph


@dataclass(frozen=True, slots=True)
class Needed:
    """Series that an exporter shows: any of `metrics` will do; `gives` is what is not known without all of them.

    Not every site has those that are not `always` there: nodes have no GPU, a kernel does not count peaks.
    """

    gives: str
    metrics: tuple[str, ...]
    always: bool = True


def needed(metric: str, gives: str, *, always: bool = True) -> Needed:
    """Say what is not known without one metric."""
    return Needed(gives, (metric,), always)


class Exporter(NamedTuple):
    """What refreshes and the ledger ask of an exporter, what may be asked over time, and which series are needed."""

    inputs: tuple[Expression, ...] = ()
    graphs: tuple[Graph, ...] = ()
    needed: tuple[Needed, ...] = ()
