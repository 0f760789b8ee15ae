"""One entry of the catalogue: the portal's expression, and where our answer to it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Entry:
    """
    One query of the portal, and the graph of ours that answers it.

    *portal* is its expression with `$F` for the site's matchers, other placeholders by *names* of the test, and our own
    `$window` where the portal has a window of its own. *path* is below `/api/v1/`, with the same placeholders.
    A line of ours is compared with the portal's that has the same values of *labels* (ours → the portal's label);
    *only* picks lines of ours by patterns of their labels, and those with the same values are added up. The portal's
    value times *factor* is ours,
    within *tolerance*, which is more than rounding where the two are of different moments. *note* is for people: where
    the two part on other data than the lab's.
    An answer that is no graph has *read*: it gives the values by those labels from the answer's data, and the portal's
    expression is asked for now; *metric* is then the name of the field, for people.
    *picks* says why ours has some of the portal's lines only; those are compared.
    *differs* says why ours is another number, which is then not compared; docs/portal.md gives it.
    """

    id: str
    portal: str
    path: str
    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, str] = field(default_factory=dict)
    factor: float = 1.0
    tolerance: float = 1e-9
    note: str = ""
    picks: str = ""
    read: Callable[[Any], Mapping[tuple[str, ...], float]] | None = None
    differs: str = ""
