"""The last good value of each input: one query that fails must not be worse than all of them failing."""

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Filled(Generic[T]):
    """What there is of each input, and the times of those values that were kept."""

    values: Mapping[str, T]
    times: Mapping[str, float] = field(default_factory=dict)

    @property
    def oldest(self) -> float | None:
        """Give the time of the oldest value that was kept, None where all are new."""
        return min(self.times.values(), default=None)


@dataclass(frozen=True, slots=True)
class _Good(Generic[T]):
    at: float
    values: Mapping[str, T]


class LastGood(Generic[T]):
    """Keep the values of inputs for `patience` seconds after they were read.

    together are inputs of which none means anything beside a value of another time: where one of them is missing, all
    are as they were when they last were all there.
    """

    def __init__(self, patience: float, together: Iterable[frozenset[str]] = ()) -> None:
        self._patience = patience
        self._together = tuple(together)
        self._good: dict[frozenset[str], _Good[T]] = {}

    def take_over(self, before: "LastGood[T]") -> None:
        """Go on from what another one of the same inputs has kept."""
        self._good = before._good

    def fill(self, at: float, names: Iterable[str], values: Mapping[str, T]) -> Filled[T]:
        """Give what was read at `at`, and in place of what is missing of `names` what is kept and not too old."""
        filled, times = dict(values), dict[str, float]()
        # An answer in which nothing is known of anybody is not one to go back to.
        good = any(len(value) if isinstance(value, Sized) else value for value in values.values())
        for group in self._groups(names):
            if group <= values.keys():
                if good:
                    self._good[group] = _Good(at, {name: values[name] for name in group})
                continue
            kept = self._good.get(group)
            if kept and 0 <= at - kept.at <= self._patience:
                filled.update(kept.values)
                times |= dict.fromkeys(kept.values, kept.at)
        return Filled(filled, times)

    def _groups(self, names: Iterable[str]) -> Iterable[frozenset[str]]:
        grouped = frozenset().union(*self._together)
        return (*self._together, *(frozenset((name,)) for name in names if name not in grouped))
