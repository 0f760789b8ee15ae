"""The tables of what `/metrics` shows: add a family to one of them and it is rendered, tested and documented."""

from typing import Any

from aggregator.families import accounts, energy, jobs, limits, lustre, nodes, sums, usage
from aggregator.families.spec import Family, check_unique

ALL: tuple[Family[Any], ...] = (
    *jobs.FAMILIES,
    *energy.JOB_FAMILIES,
    *sums.FAMILIES,
    *energy.SUMS_FAMILIES,
    *accounts.TREE_FAMILIES,
    *accounts.AWARD_FAMILIES,
    *limits.FAMILIES,
    *nodes.FAMILIES,
    *energy.NODE_FAMILIES,
    *energy.CLUSTER_FAMILIES,
    *usage.FAMILIES,
    *lustre.FAMILIES,
)
BY_NAME = check_unique(ALL)
