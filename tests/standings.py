"""What the tables of accounts say of each association: shares, fair share and limits, with who coordinates what."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aggregator.api.standings import Limit, limits_of_account, limits_of_qos, limits_of_user
from aggregator.engine.frame import Frames
from aggregator.model.accounting import Run
from aggregator.model.association import Associations
from aggregator.model.usage import LeftUsage
from tests.accounts import join_part
from tests.builders import NOW


@dataclass(frozen=True)
class Fairshare:
    """How an association is served beside those of its level; None is not known."""

    usage_ratio: float | None = None
    level: float | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What an association may do."""

    account: str
    user: str = ""
    partition: str = ""
    shares: int | None = None
    shares_ratio: float | None = None
    fairshare: Fairshare = Fairshare()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class QosStanding:
    """One QOS with the limits that are set on it."""

    name: str
    priority: int
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class Standings:
    """accounts is by name, users by (account, user), one standing per partition."""

    accounts: Mapping[str, Standing] = field(default_factory=dict)
    users: Mapping[tuple[str, str], tuple[Standing, ...]] = field(default_factory=dict)
    qos: tuple[QosStanding, ...] = ()
    coordinators: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def by_key(self) -> dict[tuple[str, str, str], Standing]:
        """Give every standing by account, user and partition."""
        every = [*self.accounts.values(), *(each for of in self.users.values() for each in of)]
        return {(each.account, each.user, each.partition): each for each in every}


def join_standings(
    associations: Associations,
    runs: Collection[Run] = (),
    at: float = NOW,
    left: LeftUsage | None = None,
    levels: Mapping[str, float] | None = None,
) -> Standings:
    """Join associations and runs, and say what holds for whom."""
    return standings_of(join_part(associations, runs, left=left, levels=levels or {}, at=at))


def standings_of(frames: Frames) -> Standings:
    users: defaultdict[tuple[str, str], list[Standing]] = defaultdict(list)
    for row in frames["user_associations"].iter_rows(named=True):
        limits = tuple(limits_of_user(frames, row))
        standing = _standing(row, limits, user=row["user"], partition=row["partition"])
        users[row["account"], row["user"]].append(standing)
    coordinators: defaultdict[str, set[str]] = defaultdict(set)
    for account, user in frames["coordinators"].iter_rows():
        coordinators[account].add(user)
    return Standings(
        {
            row["account"]: _standing(row, tuple(limits_of_account(frames, row)))
            for row in frames["account_tree"].iter_rows(named=True)
        },
        {key: tuple(found) for key, found in users.items()},
        tuple(
            QosStanding(name, priority, tuple(limits_of_qos(frames, number)))
            for number, name, priority in frames["qos"].iter_rows()
        ),
        {account: frozenset(of) for account, of in coordinators.items()},
    )


def _standing(row: Mapping[str, Any], limits: tuple[Limit, ...], **whose: str) -> Standing:
    fairshare = Fairshare(row["usage_ratio"], row["fairshare_level"], row["fairshare_source"])
    return Standing(
        account=row["account"], shares=row["shares"], shares_ratio=row["shares_ratio"], fairshare=fairshare,
        limits=limits, **whose,
    )  # fmt: skip
