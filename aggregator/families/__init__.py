"""The tables of what `/metrics` shows: add a family to one of them and it is rendered, tested and documented."""

from typing import Any

from aggregator.families import accounts, limits, usage
from aggregator.families.spec import Family, check_unique

ALL: tuple[Family[Any], ...] = (
    *accounts.TREE_FAMILIES,
    *accounts.AWARD_FAMILIES,
    *limits.FAMILIES,
    *usage.FAMILIES,
)
BY_NAME = check_unique(ALL)
