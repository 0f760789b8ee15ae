"""The parts of which each kind of thing is made, and all families of `/metrics`."""

from collections.abc import Mapping
from typing import Final

from aggregator.engine.column import Listing
from aggregator.engine.part import Layout
from aggregator.parts import accounts, cloud, energy, jobs, lustre, nodes, owners, storage, waste

# The owners' sums come after all that puts columns into the jobs, and accounts need to know who has jobs.
CLUSTERS: Final = Layout(
    "cluster", (jobs.PART, energy.PART, waste.PART, lustre.PART, nodes.PART, owners.PART, accounts.PART)
)
FILESYSTEMS: Final = Layout("filesystem", (storage.PART,))
CLOUDS: Final = Layout("cloud", (cloud.PART,))
FAMILIES: Final[tuple[Listing, ...]] = (
    *CLUSTERS.listings,
    *FILESYSTEMS.listings,
    *CLOUDS.listings,
)
BY_NAME: Final[Mapping[str, Listing]] = {family.name: family for family in FAMILIES}
