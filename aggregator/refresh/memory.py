"""What goes over when a cluster, file system or cloud is refreshed by somebody else: its configuration was changed."""

from typing import Any, Protocol, TypeVar

from aggregator.model.view import SourceStatus

Key = tuple[str, str]


class _TakesOver(Protocol):
    """What can go on from what its like knew."""

    def take_over(self, before: Any) -> None:
        """Go on from what `before`, of the same type, knew."""
        ...


T = TypeVar("T", bound=_TakesOver)


class Memory:
    """Everything that knows something of one part of the site, by what and whose; `sources` are those that it tells of.

    What is as `before` had it goes on from there; what it does not have any more is forgotten.
    """

    def __init__(self, before: "Memory | None" = None) -> None:
        self._before = before._known if before else {}
        self._known: dict[Key, _TakesOver] = {}
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
