"""Limits of associations with what is used of them, and shares."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aggregator.families.spec import Entity, Family, LabelValues, View, cluster_of
from aggregator.model.association import Limit, Standing, is_group_limit
from aggregator.model.view import ClusterView

_LABELS = ("limit", "tres")
_UNITS = "in bytes for mem, seconds for GrpWall and MaxWall, resource-seconds for …Mins"


def _accounts(view: View) -> Sequence[Standing]:
    return tuple(view.limits.accounts.values()) if isinstance(view, ClusterView) else ()


def _users(view: View) -> Sequence[Standing]:
    """List the users with open jobs by the association that serves every partition: one for each user and account."""
    return [
        standing
        for account, user in view.frames["users"].select("account", "user").iter_rows()
        for standing in view.limits.users.get((account, user), ())
        if not standing.partition
    ]


ACCOUNT: Entity[Standing] = Entity(
    name="account's association",
    group="accounts",
    labels=("cluster", "account"),
    of=_accounts,
    label_values=lambda view, standing: (cluster_of(view), standing.account),
)
USER: Entity[Standing] = Entity(
    name="user's association",
    group="users",
    labels=("cluster", "user", "account"),
    of=_users,
    label_values=lambda view, standing: (cluster_of(view), standing.user, standing.account),
)


def _own(standing: Standing) -> Iterator[Limit]:
    """List what limits this association by itself: the group limits of others are theirs, those of a QOS the QOS's."""
    for limit in standing.limits:
        is_set_here = (limit.account, limit.user) == (standing.account, standing.user)
        if not limit.qos and (is_set_here if is_group_limit(limit.limit) else bool(standing.user)):
            yield limit


def _limits(standing: Standing) -> Iterable[tuple[LabelValues, float]]:
    return (((limit.limit, limit.tres), limit.value) for limit in _own(standing))


def _used(standing: Standing) -> Iterable[tuple[LabelValues, float | None]]:
    return (((limit.limit, limit.tres), limit.used) for limit in _own(standing))


def _of(entity: Entity[Standing], name: str, of_whom: str, cost: str) -> tuple[Family[Standing], ...]:
    return (
        Family(
            name=f"hpc_{name}_limit", help=f"Limit {of_whom}, {_UNITS}; 0 lets nothing run.",
            entity=entity, cost=cost, source="slurmacct assoc_table", labels=_LABELS, samples=_limits,
        ),
        Family(
            name=f"hpc_{name}_limit_used",
            help="What is used of the limit, in its unit: by open jobs, for GrpTRESMins what has not decayed; absent "
            "for limits of one job and where it is not known.",
            entity=entity, cost=f"{cost}, at most",
            source="slurmacct job_table tres_alloc, timelimit; assoc_usage_{hour,day}_table (docs/accounts.md)",
            labels=_LABELS, samples=_used,
        ),
    )  # fmt: skip


def _level(standing: Standing) -> Iterable[tuple[LabelValues, float | None]]:
    return (((standing.fairshare.source,), standing.fairshare.level),)


def _fairshare(entity: Entity[Standing], whom: str, cost: str) -> tuple[Family[Standing], ...]:
    name = whom.partition(" ")[0]
    return (
        Family(
            name=f"hpc_{name}_fairshare_level",
            help=f"How the {whom} is served beside its level (level_fs of Fair Tree): above 1 under-served, below 1 "
            "over-served; absent where nothing was used, which is infinity.",
            entity=entity, cost=cost, labels=("source",), samples=_level,
            source="slurm-exporter slurm_account_levelfs, else shares_ratio ÷ usage_ratio (docs/accounts.md)",
        ),
        Family(
            name=f"hpc_{name}_usage_ratio",
            help=f"The decayed usage (billing) of the {whom} ÷ that of its parent.",
            entity=entity, cost=cost, source="slurmacct assoc_usage_{hour,day}_table (docs/accounts.md)",
            value=lambda standing: standing.fairshare.usage_ratio,
        ),
    )  # fmt: skip


FAMILIES: tuple[Family[Any], ...] = (
    *_of(ACCOUNT, "account", "on the account with all accounts below it together", "Grp* limits set on accounts"),
    *_of(USER, "user", "of the user under the account, set there or inherited", "active users × their limits"),
    Family(
        name="hpc_account_shares_ratio",
        help="The account's part of the shares of its level, where accounts and users below one parent compete.",
        entity=ACCOUNT, cost="accounts", source="slurmacct assoc_table shares",
        value=lambda standing: standing.shares_ratio,
    ),
    *_fairshare(ACCOUNT, "account", "accounts"),
    *_fairshare(USER, "user under the account", "active users"),
)  # fmt: skip
