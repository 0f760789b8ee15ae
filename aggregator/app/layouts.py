"""The parts of which each kind of thing is made, and all families of `/metrics`."""

from collections.abc import Mapping
from typing import Final

from aggregator import families
from aggregator.engine.column import Listing
from aggregator.engine.part import Layout
from aggregator.parts import cloud, storage

FILESYSTEMS: Final = Layout("filesystem", (storage.PART,))
CLOUDS: Final = Layout("cloud", (cloud.PART,))
FAMILIES: Final[tuple[Listing, ...]] = (
    *(family.listing for family in families.ALL),
    *FILESYSTEMS.listings,
    *CLOUDS.listings,
)
BY_NAME: Final[Mapping[str, Listing]] = {family.name: family for family in FAMILIES}
