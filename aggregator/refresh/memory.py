"""What goes over when a cluster, file system or cloud is refreshed by somebody else: its configuration was changed."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from aggregator.model.view import SourceStatus

Key = tuple[str, str]


class TakesOver(Protocol):
    """What can go on from what its like knew."""

    def take_over(self, before: Any) -> None:
        """Go on from what `before`, of the same type, knew."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A source whose inputs fail one by one, and which keeps their last good values in `memory`."""

    @property
    def memory(self) -> Sequence[TakesOver]:
        """Give what it remembers; sources of one type have the same."""
        ...


def hand_over(before: object, after: object) -> None:
    """Let a source go on from what another one of the same kind remembers."""
    if before is not after and isinstance(before, Remembers) and isinstance(after, Remembers):
        for old, new in zip(before.memory, after.memory, strict=True):
            new.take_over(old)


T = TypeVar("T", bound=TakesOver)


class Memory:
    """Everything that knows something of one part of the site, by what and whose; `sources` are those that it tells of.

    What is as `before` had it goes on from there; what it does not have any more is forgotten.
    """

    def __init__(self, before: "Memory | None" = None) -> None:
        self._before = before._known if before else {}
        self._known: dict[Key, TakesOver] = {}
        self.sources: set[Key] = set()

    def keep(self, kind: str, name: str, new: T) -> T:
        """Give `new`, which knows what its like knew, and remember it."""
        before = self._before.get((kind, name))
        if before is not None:
            new.take_over(before)
        self._known[kind, name] = new
        return new

    def note(self, status: SourceStatus) -> None:
        """Remember that a source is told of."""
        self.sources.add((status.source, status.scope))
