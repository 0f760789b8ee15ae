"""What a family is: a name, its labels, and how its samples come out of a view. Declared once, checked here."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from aggregator.engine.column import Kind, Listing, Stability
from aggregator.model.view import ClusterView

E = TypeVar("E")
View = ClusterView
Group = Literal["jobs", "users", "accounts", "nodes", "storage", "cloud"]
LabelValues = tuple[str, ...]

_NAME = re.compile(r"hpc_[a-z][a-z0-9_]*")
_RESERVED_SUFFIXES = ("_count", "_sum", "_bucket", "_created")
_COUNTER_SUFFIX = "_total"


class FamilyError(ValueError):
    """A family is declared in a way that would print wrong or invalid exposition."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram: cumulative counts by upper edge (the last is +Inf), and the sum of what was counted."""

    buckets: tuple[tuple[float, int], ...]
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity(Generic[E]):
    """What a sample is about: the base labels, how to list the entities of a view, how to label and key one."""

    name: str
    group: Group
    labels: tuple[str, ...]
    of: Callable[[View], Sequence[E]]
    label_values: Callable[[View, E], LabelValues]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[E]):
    """One family over one kind of entity: a counter if its name ends in `_total`, else a gauge or a histogram.

    Exactly one of `value` (one sample per entity, None for not known), `samples` (extra label values → value) and
    `histogram` is given. cost says how many series there are, source where the numbers come from.
    """

    name: str
    help: str
    entity: Entity[E]
    cost: str
    source: str
    labels: tuple[str, ...] = ()
    stability: Stability = "STABLE"
    value: Callable[[E], float | None] | None = None
    samples: Callable[[E], Iterable[tuple[LabelValues, float | None]]] | None = None
    histogram: Callable[[E], Histogram | None] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.endswith(_RESERVED_SUFFIXES):
            raise FamilyError(f"{self.name}: not a name for a family")
        if not self.help.endswith("."):
            raise FamilyError(f"{self.name}: the help must be a sentence")
        if sum(way is not None for way in (self.value, self.samples, self.histogram)) != 1:
            raise FamilyError(f"{self.name}: exactly one of value, samples and histogram")
        if self.is_counter and self.histogram is not None:
            raise FamilyError(f"{self.name}: a histogram is no counter")
        if bool(self.labels) != (self.samples is not None):
            raise FamilyError(f"{self.name}: extra labels go with samples, and only with them")

    @property
    def type(self) -> Kind:
        """Give Prometheus's word for the type."""
        if self.is_counter:
            return "counter"
        return "gauge" if self.histogram is None else "histogram"

    @property
    def is_counter(self) -> bool:
        """Tell whether the values only grow."""
        return self.name.endswith(_COUNTER_SUFFIX)

    @property
    def listing(self) -> Listing:
        """Give it as it is on the page."""
        return Listing(
            name=self.name, type=self.type, labels=self.all_labels, help=self.help, cost=self.cost, source=self.source,
            stability=self.stability, collect=self.entity.group,
        )  # fmt: skip

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Give the labels in the order in which they are printed."""
        return self.entity.labels + self.labels

    def extra_samples(self, entity: E) -> Iterator[tuple[LabelValues, float]]:
        """Give one entity's known samples by extra label values, refusing a wrong number of them."""
        if self.samples is None:
            return
        for values, value in self.samples(entity):
            if len(values) != len(self.labels):
                raise FamilyError(f"{self.name}: {len(values)} label values for the labels {self.labels}")
            if value is not None:
                yield values, value


def cluster_of(view: View) -> str:
    """Name the view's cluster; a cloud's view has none, and no entity of a cluster either."""
    return view.cluster if isinstance(view, ClusterView) else ""


def check_unique(families: Sequence["Family[object]"]) -> Mapping[str, "Family[object]"]:
    """Index families by name, refusing two of one name."""
    by_name = {family.name: family for family in families}
    if len(by_name) != len(families):
        raise FamilyError("two families have one name")
    return by_name
