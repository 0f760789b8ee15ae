"""The parts of which each kind of thing is made, and all families of `/metrics`."""

from collections.abc import Iterable, Mapping
from typing import Final

from aggregator.engine.column import Listing
from aggregator.engine.part import Layout, Part
from aggregator.parts import accounts, alerts, cloud, energy, gauges, jobs, lustre, nodes, owners, storage, waste
from aggregator.sources.prometheus.catalogue import gauge_columns

_GAUGES: Final = gauges.part_of(gauge_columns())
# Waste is judged by what is known of jobs. The owners' sums come after all that puts columns into the jobs, and
# accounts need to know who has jobs.
_OF_CLUSTERS: Final = (
    jobs.PART,
    energy.PART,
    _GAUGES,
    waste.PART,
    lustre.PART,
    nodes.PART,
    owners.PART,
    accounts.PART,
    alerts.PART,
)
CLUSTERS: Final = Layout("cluster", _OF_CLUSTERS)
FILESYSTEMS: Final = Layout("filesystem", (storage.PART,))
CLOUDS: Final = Layout("cloud", (cloud.PART,))


def clusters_with(parts: Iterable[Part]) -> Layout:
    """Give the layout of clusters with parts of other packages, which come last."""
    return Layout("cluster", (*_OF_CLUSTERS, *parts))


def families_with(clusters: Layout) -> tuple[Listing, ...]:
    """Give all families of `/metrics` where clusters have this layout."""
    return (*clusters.listings, *FILESYSTEMS.listings, *CLOUDS.listings)


FAMILIES: Final = families_with(CLUSTERS)
BY_NAME: Final[Mapping[str, Listing]] = {family.name: family for family in FAMILIES}
