"""The parts of which each kind of thing is made, and all families of `/metrics`."""

from collections.abc import Mapping
from typing import Final

from aggregator import families
from aggregator.engine.column import Listing
from aggregator.engine.part import Layout
from aggregator.parts import cloud, energy, jobs, lustre, nodes, owners, storage, waste

# The owners' sums come last: they add up what the parts before have put into the jobs.
CLUSTERS: Final = Layout("cluster", (jobs.PART, energy.PART, waste.PART, lustre.PART, nodes.PART, owners.PART))
FILESYSTEMS: Final = Layout("filesystem", (storage.PART,))
CLOUDS: Final = Layout("cloud", (cloud.PART,))
FAMILIES: Final[tuple[Listing, ...]] = (
    *CLUSTERS.listings,
    *(family.listing for family in families.ALL),
    *FILESYSTEMS.listings,
    *CLOUDS.listings,
)
BY_NAME: Final[Mapping[str, Listing]] = {family.name: family for family in FAMILIES}
