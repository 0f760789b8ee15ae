"""Who may see what: pure functions of an identity, the site's rules and the snapshot."""

from dataclasses import dataclass

import polars as pl

from aggregator.api.identity import Identity
from aggregator.api.tokens.scope import READ_OWN, accounts_of
from aggregator.engine.view import View
from aggregator.model.accounting import Run
from aggregator.model.view import ClusterView, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the site says: its staff by name and by account, and whether members of an account see each other's jobs."""

    staff_users: frozenset[str] = frozenset()
    staff_accounts: frozenset[str] = frozenset()
    members_see_members: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
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

    @property
    def is_own(self) -> pl.Expr:
        """Tell which rows are the user's own."""
        return pl.col("user") == pl.lit(self.user, dtype=pl.String)

    def sees_groups(self, filesystem: View) -> pl.Expr:
        """Tell which groups of a file system are shown."""
        return pl.col("group").is_in(self.groups_of(filesystem)["group"].implode())

    def sees_projects(self, clouds: View) -> pl.Expr:
        """Tell which rows of projects are shown, of several clouds."""
        own = self._own(clouds["members"]).select(project=pl.struct("cloud", "project")).to_series()
        return pl.struct("cloud", "project").is_in(own.implode())

    def _own(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(self.is_own)


def is_staff(identity: Identity, rules: Rules, snapshot: Snapshot) -> bool:
    """Tell whether the identity sees everything: by scope, by name, or as a member of a staff account anywhere."""
    user = identity.user
    if identity.staff or user is None or READ_OWN not in identity.scopes:
        return identity.staff
    if user in rules.staff_users or not rules.staff_accounts:
        return user in rules.staff_users
    return any(not rules.staff_accounts.isdisjoint(memberships(view, user)) for view in snapshot.clusters.values())


def rights_of(identity: Identity, rules: Rules, view: ClusterView | None = None) -> Rights:
    """Tell what the identity sees of a cluster, or of what belongs to none."""
    if identity.staff:
        return Rights(everything=True)
    user = identity.user if READ_OWN in identity.scopes else None
    named = accounts_of(identity.scopes)
    if view is None:
        return Rights(user=user, accounts=named, members_see_members=rules.members_see_members)
    return Rights(
        user=user,
        accounts=with_children(named | _coordinated(view, user), view),
        memberships=memberships(view, user),
        members_see_members=rules.members_see_members,
    )


def memberships(view: ClusterView, user: str | None) -> frozenset[str]:
    """Give the accounts of a cluster in which the user is."""
    rows = view.frames["user_associations"]
    return frozenset(rows.filter(pl.col("user") == pl.lit(user, dtype=pl.String))["account"])


def _coordinated(view: ClusterView, user: str | None) -> frozenset[str]:
    """Give the accounts that the user coordinates, without those below."""
    rows = view.frames["coordinators"]
    return frozenset(rows.filter(pl.col("user") == pl.lit(user, dtype=pl.String))["account"])


def is_account(view: ClusterView, name: str) -> bool:
    """Tell whether there is such an account in the cluster's tree."""
    return name in view.frames["account_tree"]["account"]


def with_children(accounts: frozenset[str], view: ClusterView) -> frozenset[str]:
    """Add every account below these."""
    tree = view.frames["account_tree"]
    if not accounts:
        return accounts
    is_below = pl.col("above").list.set_intersection(sorted(accounts)).list.len() > 0
    return accounts | frozenset(tree.filter(is_below)["account"])
