"""Which limits hold for an account, for a user in it and for a QOS, and what is used of them?

As slurmctld does it: Grp* limits hold at every level for everything below; the others are inherited from the nearest
association that sets them and hold for each user's association by itself; a QOS that sets a limit has its own instead.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from aggregator.join.fairtree import counts_whole, fairshares
from aggregator.join.holdings import Holdings
from aggregator.join.shares import shares_ratios
from aggregator.model.accounting import Run
from aggregator.model.association import (
    OVERRIDES,
    USED_TRES_SECONDS,
    Association,
    Associations,
    Fairshare,
    Limit,
    LimitKey,
    LimitsView,
    Qos,
    QosStanding,
    Standing,
    is_group_limit,
)
from aggregator.model.usage import RawUsage

_Key = tuple[str, str, str]  # account, user, partition
_NOTHING = Holdings()
_UNTOLD: Mapping[str, float] = {}


def join_limits(
    associations: Associations,
    runs: Iterable[Run],
    at: float,
    raw: RawUsage | None = None,
    levels: Mapping[str, float] = _UNTOLD,
) -> LimitsView:
    """Join the associations with what the open runs hold at `at`, and with what is left of past usage.

    levels are those of accounts that slurmctld says (level_fs).
    """
    live = tuple(associations.live())
    known = raw if raw and counts_whole(live, associations.qos) else None
    tree = _Tree(associations, known, levels)
    use = _Use(tree, runs, at)
    accounts = {name: _account_standing(tree, use, row) for name, row in tree.accounts.items()}
    coordinators = _coordinators(associations, tree)
    return LimitsView(
        accounts,
        _user_standings(tree, use),
        tuple(
            QosStanding(qos, tuple(_qos_limits(qos, "", use.of_qos.get((qos.name, "", ""), _NOTHING))))
            for qos in sorted(associations.qos.values(), key=lambda qos: qos.name)
        ),
        coordinators,
        _turned(coordinators),
    )


class _Tree:
    """The live associations: accounts by name, users by account, name and partition, and the way up from each.

    raw is what is left of usage, levels are what slurmctld says of accounts.
    """

    def __init__(self, associations: Associations, raw: RawUsage | None, levels: Mapping[str, float]) -> None:
        live = list(associations.live())
        self.raw = raw
        self._levels = levels
        self.accounts = {row.account: row for row in live if not row.user}
        self.users = {(row.account, row.user, row.partition): row for row in live if row.user}
        self._keys = {row.id: key for key, row in self.users.items()}
        self._qos = associations.qos
        self._chains: dict[str, tuple[Association, ...]] = {}

    @cached_property
    def ratios(self) -> Mapping[int, float]:
        return shares_ratios(self._rows)

    @cached_property
    def fairshares(self) -> Mapping[int, Fairshare]:
        return fairshares(self._rows, self.ratios, self.raw, self._levels)

    @property
    def _rows(self) -> tuple[Association, ...]:
        return (*self.accounts.values(), *self.users.values())

    def chain(self, row: Association) -> tuple[Association, ...]:
        """List an association and the accounts above it, the nearest first."""
        above = self.accounts_from(row.account)
        return (row, *above) if row.user else above

    def accounts_from(self, name: str) -> tuple[Association, ...]:
        """List an account and those above it up to the root; a loop is cut, an unknown account has nothing."""
        known = self._chains.get(name)
        if known is None:
            found: dict[str, Association] = {}
            above = name
            while above in self.accounts and above not in found:
                found[above] = self.accounts[above]
                above = found[above].parent
            known = self._chains[name] = tuple(found.values())
        return known

    def qos_of(self, row: Association) -> tuple[Qos, ...]:
        """List the QOS that may be used: those of the nearest association that sets any, with the changes below it."""
        changes: list[Association] = []
        allowed: frozenset[int] = frozenset()
        for each in self.chain(row):
            changes.append(each)
            if each.qos:
                allowed = each.qos
                break
        for each in reversed(changes):
            allowed = (allowed | each.added_qos) - each.removed_qos
        return tuple(self._qos[qos_id] for qos_id in sorted(allowed) if qos_id in self._qos)

    def key_of(self, run: Run) -> _Key:
        """Find the association of a run; where its id says nothing, the one of all partitions."""
        known = self._keys.get(run.association_id) if run.association_id is not None else None
        return known or (run.account, run.user, "")


class _Use:
    """What the open runs hold: by association, by account with all below it, and by (QOS, account, user)."""

    def __init__(self, tree: _Tree, runs: Iterable[Run], at: float) -> None:
        groups: defaultdict[tuple[_Key, str], Holdings] = defaultdict(Holdings)
        for run in runs:
            if run.is_open:
                groups[tree.key_of(run), run.qos].add_run(run, at)
        self.of_association: defaultdict[_Key, Holdings] = defaultdict(Holdings)
        self.of_account: defaultdict[str, Holdings] = defaultdict(Holdings)
        # ("" for all accounts, "" for all users)
        self.of_qos: defaultdict[tuple[str, str, str], Holdings] = defaultdict(Holdings)
        for (key, qos), holdings in groups.items():
            account, user, _ = key
            self.of_association[key].add(holdings)
            for above in tree.accounts_from(account):
                self.of_account[above.account].add(holdings)
            for whose in ((qos, "", ""), (qos, account, ""), (qos, "", user)):
                self.of_qos[whose].add(holdings)
        self.users = frozenset(user for (_, user, _), _ in groups)


def _account_standing(tree: _Tree, use: _Use, row: Association) -> Standing:
    name = row.account
    allowed = tree.qos_of(row)
    limits = [
        *_group_limits(tree, use, row, allowed),
        # An account's own Max* are what its users have: nothing is used of them by the account.
        *_inherited(tree, row, None, allowed),
        *(
            limit
            for qos in allowed
            for limit in _qos_limits(qos, "PerAccount", use.of_qos.get((qos.name, name, ""), _NOTHING))
        ),
    ]
    return Standing(
        account=name, shares=row.shares, shares_ratio=tree.ratios.get(row.id), fairshare=tree.fairshares[row.id],
        limits=tuple(limits),
    )  # fmt: skip


def _user_standings(tree: _Tree, use: _Use) -> dict[tuple[str, str], tuple[Standing, ...]]:
    # Most users of a site have no open job and no limit of their own: for those of one account the same holds.
    idle: dict[str, tuple[Limit, ...]] = {}
    users: defaultdict[tuple[str, str], list[Standing]] = defaultdict(list)
    for row in sorted(tree.users.values(), key=lambda row: row.partition):
        if row.user in use.users or row.limits or row.qos or row.added_qos or row.removed_qos:
            limits = _user_limits(tree, use, row)
        else:
            if row.account not in idle:
                idle[row.account] = _user_limits(tree, use, row)
            limits = idle[row.account]
        ratio = tree.ratios.get(row.id)
        users[row.account, row.user].append(
            Standing(
                account=row.account, user=row.user, partition=row.partition, shares=row.shares, shares_ratio=ratio,
                fairshare=tree.fairshares[row.id], limits=limits,
            )
        )  # fmt: skip
    return {key: tuple(standings) for key, standings in users.items()}


def _user_limits(tree: _Tree, use: _Use, row: Association) -> tuple[Limit, ...]:
    allowed = tree.qos_of(row)
    held = use.of_association.get((row.account, row.user, row.partition), _NOTHING)
    return (
        *_group_limits(tree, use, row, allowed),
        *_inherited(tree, row, held, allowed),
        *(
            limit
            for qos in allowed
            for limit in _qos_limits(qos, "PerUser", use.of_qos.get((qos.name, "", row.user), _NOTHING))
        ),
    )


def _group_limits(tree: _Tree, use: _Use, row: Association, allowed: Sequence[Qos]) -> Iterator[Limit]:
    """Give the Grp* limits of the association and of every account above it, with what is used below each."""
    for level in tree.chain(row):
        held = (
            use.of_association.get((level.account, level.user, level.partition), _NOTHING)
            if level.user
            else use.of_account.get(level.account, _NOTHING)
        )
        for key in sorted(level.limits):
            if is_group_limit(key[0]):
                used = _left(tree, level, key[1]) if key[0] == USED_TRES_SECONDS else held.used(*key)
                yield _limit(level, key, used, allowed)


def _left(tree: _Tree, level: Association, tres: str) -> float | None:
    return tree.raw.of(level, tres) if tree.raw else None


def _inherited(tree: _Tree, row: Association, held: Holdings | None, allowed: Sequence[Qos]) -> Iterator[Limit]:
    """Give the other limits, each from the nearest association that sets it."""
    nearest: dict[LimitKey, Association] = {}
    for level in tree.chain(row):
        for key in level.limits:
            if not is_group_limit(key[0]):
                nearest.setdefault(key, level)
    return (_limit(nearest[key], key, held.used(*key) if held else None, allowed) for key in sorted(nearest))


def _limit(level: Association, key: LimitKey, used: float | None, allowed: Sequence[Qos]) -> Limit:
    limit, tres = key
    names = (limit, *OVERRIDES.get(limit, ()))
    return Limit(
        limit=limit, tres=tres, value=level.limits[key], account=level.account, user=level.user,
        partition=level.partition, used=used,
        overridden_by=tuple(qos.name for qos in allowed if any((name, tres) in qos.limits for name in names)),
    )  # fmt: skip


def _qos_limits(qos: Qos, suffix: str, held: Holdings) -> Iterator[Limit]:
    """Give a QOS's limits of one kind: `PerUser`, `PerAccount`, or all of them, of which the group's are used."""
    for limit, tres in sorted(qos.limits):
        if limit.endswith(suffix):
            used = held.used(limit, tres) if suffix or is_group_limit(limit) else None
            yield Limit(limit=limit, tres=tres, value=qos.limits[limit, tres], qos=qos.name, used=used)


def _coordinators(associations: Associations, tree: _Tree) -> dict[str, frozenset[str]]:
    """Tell who coordinates which account: those who are named, and every user where an account above says so."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for account, users in associations.coordinators.items():
        found[account] |= users
    for row in tree.users.values():
        if any(above.users_are_coordinators for above in tree.accounts_from(row.account)):
            found[row.account].add(row.user)
    return {account: frozenset(users) for account, users in found.items()}


def _turned(coordinators: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Turn account → users into user → accounts."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for account, users in coordinators.items():
        for user in users:
            found[user].add(account)
    return {user: frozenset(accounts) for user, accounts in found.items()}
