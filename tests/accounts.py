"""The tables of a cluster, joined of associations, runs and usage."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import polars as pl

from aggregator.app.layouts import CLUSTERS
from aggregator.engine.frame import Frames, conform
from aggregator.engine.part import Inputs
from aggregator.model.accounting import Run
from aggregator.model.association import LEVELS, Association, Associations, FairShareLevels
from aggregator.model.job_inputs import runs_of
from aggregator.model.storage import Allocations, Award
from aggregator.model.usage import LeftUsage, UsageSums
from aggregator.parts import accounts
from tests.builders import NOW, make_association

_NOTHING: Mapping[str, float] = MappingProxyType({})
_NOBODY: Mapping[str, Iterable[str]] = MappingProxyType({})
_NAMELESS: Mapping[str, str] = MappingProxyType({})


def make_frames(
    associations: Associations | None = None,
    runs: Collection[Run] = (),
    *,
    left: LeftUsage | None = None,
    usage: UsageSums | None = None,
    levels: Mapping[str, float] = _NOTHING,
    awards: Mapping[str, Award] | None = None,
    at: float = NOW,
) -> Frames:
    """Join a cluster; left is put into a usage of nothing."""
    sums = usage or make_usage_sums(left=left)
    inputs = Inputs(runs_of(runs), associations, make_levels(levels), sums, Allocations(at, awards=awards or {}))
    joined = CLUSTERS.join(inputs, at)
    assert not joined.failed
    return joined.frames


def join_part(
    associations: Associations,
    runs: Collection[Run] = (),
    *,
    left: LeftUsage | None = None,
    levels: Mapping[str, float] = _NOTHING,
    at: float = NOW,
) -> Frames:
    """Join the part by itself, which is many times as fast: users with open runs are active."""
    active = {(run.user, run.account) for run in runs if run.is_open}
    users = pl.DataFrame(sorted(active), schema={"user": pl.String, "account": pl.String}, orient="row")
    inputs = Inputs(runs_of(runs), associations, make_levels(levels), make_usage_sums(left=left))
    made = accounts.PART.join({"users": users}, inputs, at)
    return {name: conform(CLUSTERS.tables[name], frame) for name, frame in made.items()}


def make_levels(levels: Mapping[str, float]) -> FairShareLevels:
    """Make what slurmctld says of accounts."""
    return FairShareLevels(pl.DataFrame(list(levels.items()), schema=LEVELS, orient="row"))


def make_usage_sums(left: LeftUsage | None = None) -> UsageSums:
    """Make the sums of nothing."""
    owners = (("account",), ("user", "account"), ("state",))
    return UsageSums(NOW - 3600.0, *(make_seconds((*each, "tres", "window"), []) for each in owners), left)


def make_seconds(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> pl.DataFrame:
    """Make a frame of texts by these names, and seconds."""
    return pl.DataFrame(list(rows), schema={**dict.fromkeys(names, pl.String), "seconds": pl.Float64}, orient="row")


def make_left(
    tres: Iterable[str],
    associations: Mapping[int, Mapping[str, float]],
    accounts: Mapping[str, Mapping[str, float]],
) -> LeftUsage:
    """Make what is left of usage, by association or account and TRES."""
    users = [(number, *each) for number, of in associations.items() for each in of.items()]
    rows = [(account, *each) for account, of in accounts.items() for each in of.items()]
    numbers = {"association_id": pl.Int64, "tres": pl.String, "seconds": pl.Float64}
    names = {"account": pl.String, "tres": pl.String, "seconds": pl.Float64}
    of_users = pl.DataFrame(users, schema=numbers, orient="row")
    return LeftUsage(frozenset(tres), of_users, pl.DataFrame(rows, schema=names, orient="row"))


def make_tree(
    parents: Mapping[str, str],
    members: Mapping[str, Iterable[str]] = _NOBODY,
    organizations: Mapping[str, str] = _NAMELESS,
) -> Associations:
    """Make accounts by their parents, and users with the accounts in which they are."""
    rows: list[Association] = [make_association(name, parent=parent) for name, parent in parents.items()]
    rows += [make_association(account, user) for user, accounts in members.items() for account in accounts]
    return Associations.of(rows, organizations=organizations)
