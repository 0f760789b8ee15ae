"""What runs on a cluster, by names that people know."""

import re
from typing import Final, NamedTuple

UNIDENTIFIED: Final = "Unidentified"


class Software(NamedTuple):
    """Some software, and what is found in the paths of its executables."""

    name: str
    pattern: re.Pattern[str]


class Share(NamedTuple):
    """What the executables of some software below one top directory use on average."""

    software: str
    directory: str
    value: float


class Shares(NamedTuple):
    """Shares, the largest first, beside what was measured on the whole (None: not known)."""

    shares: tuple[Share, ...]
    measured: float | None

    @property
    def unaccounted(self) -> float | None:
        """Give what is measured and in no share: executables that end within a minute, idle shells, services."""
        if self.measured is None:
            return None
        return max(0.0, self.measured - sum(share.value for share in self.shares))
