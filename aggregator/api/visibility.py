"""Who may see what: pure functions of an identity, the site's rules and the snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from aggregator.api.identity import Identity
from aggregator.api.tokens.scope import READ_OWN, accounts_of
from aggregator.engine.view import View
from aggregator.model.accounting import Account, Run
from aggregator.model.view import ClusterView, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the site says: its staff by name and by account, and whether members of an account see each other's jobs."""

    staff_users: frozenset[str] = frozenset()
    staff_accounts: frozenset[str] = frozenset()
    members_see_members: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one identity sees: everything, or a user's own, whole accounts, and the sums of the user's accounts."""

    everything: bool = False
    user: str | None = None
    accounts: frozenset[str] = frozenset()
    memberships: frozenset[str] = frozenset()
    members_see_members: bool = False

    @property
    def whole_accounts(self) -> frozenset[str]:
        """Give the accounts whose members' jobs are all shown."""
        return self.accounts | (self.memberships if self.members_see_members else frozenset())

    @property
    def seen(self) -> pl.Expr:
        """Tell which rows that are of a user under an account are shown; to everybody else they do not exist."""
        is_own = (pl.col("user") == pl.lit(self.user, dtype=pl.String)).fill_null(False)
        return pl.lit(self.everything) | is_own | pl.col("account").is_in(list(self.whole_accounts))

    @property
    def seen_accounts(self) -> pl.Expr:
        """Tell of which accounts the sums are shown."""
        return pl.lit(self.everything) | pl.col("account").is_in(list(self.accounts | self.memberships))

    def sees_run(self, run: Run) -> bool:
        """Tell whether the run is shown; to everybody else it does not exist."""
        return self.everything or run.user == self.user or run.account in self.whole_accounts

    def sees_script(self, run: Run) -> bool:
        """Tell whether the run's script is shown: to its owner and the staff, for it may hold secrets."""
        return self.everything or run.user == self.user

    def sees_sums(self, account: str, user: str = "") -> bool:
        """Tell whether the sums of an account, or of a user in it, are shown."""
        whole = self.whole_accounts if user else self.accounts | self.memberships
        return self.everything or account in whole or (bool(user) and user == self.user)

    def spaces_of(self, filesystem: View) -> pl.DataFrame:
        """Give the users of a file system whose space is shown."""
        users = filesystem["users"]
        return users if self.everything else self._own(users)

    def groups_of(self, filesystem: View) -> pl.DataFrame:
        """Give the groups of a file system that are shown: those in which the user has something or is a member."""
        groups, members = filesystem["groups"], filesystem["members"]
        if self.everything:
            return groups
        own = pl.concat([self._own(members).select("group"), self.spaces_of(filesystem).select("group")])
        return groups.join(own, on="group", how="semi", maintain_order="left")

    def projects_of(self, cloud: View) -> pl.DataFrame:
        """Give the projects of a cloud that are shown, each all of it: to its members."""
        projects = cloud["projects"]
        if self.everything:
            return projects
        return projects.join(self._own(cloud["members"]), on="project", how="semi", maintain_order="left")

    def _own(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("user") == pl.lit(self.user, dtype=pl.String))


def is_staff(identity: Identity, rules: Rules, snapshot: Snapshot) -> bool:
    """Tell whether the identity sees everything: by scope, by name, or as a member of a staff account anywhere."""
    user = identity.user
    if identity.staff or user is None or READ_OWN not in identity.scopes:
        return identity.staff
    memberships = (view.members.get(user, frozenset()) for view in snapshot.clusters.values())
    return user in rules.staff_users or any(not rules.staff_accounts.isdisjoint(of) for of in memberships)


def sight_of(identity: Identity, rules: Rules, view: ClusterView | None = None) -> Sight:
    """Tell what the identity sees of a cluster, or of what belongs to none."""
    if identity.staff:
        return Sight(everything=True)
    tree = view.tree if view else {}
    user = identity.user if READ_OWN in identity.scopes else None
    coordinated = view.limits.coordinates.get(user, frozenset()) if view and user else frozenset()
    return Sight(
        user=user,
        accounts=with_children(accounts_of(identity.scopes) | coordinated, tree),
        memberships=view.members.get(user, frozenset()) if view and user else frozenset(),
        members_see_members=rules.members_see_members,
    )


def with_children(accounts: frozenset[str], tree: Mapping[str, Account]) -> frozenset[str]:
    """Add every account below these; a tree that loops does no harm."""
    found, new = accounts, accounts
    while new:
        new = frozenset(name for name, account in tree.items() if account.parent in new) - found
        found |= new
    return found
