"""hpc_account_usage_*, hpc_user_usage_*, hpc_cluster_usage_*: what slurmdbd has rolled up, over windows."""

from collections.abc import Iterable, Sequence
from typing import Any

from aggregator.families.spec import Entity, Family, LabelValues, View, cluster_of
from aggregator.model.usage import UsageSums, UsageView
from aggregator.model.view import ClusterView

_TABLES = "slurmacct assoc_usage_{hour,day,month}_table, since the last roll-up job_table (docs/usage.md)"
_CLUSTER_TABLES = "slurmacct usage_{hour,day,month}_table (docs/usage.md)"


def _usage(view: View) -> UsageView | None:
    return view.usage if isinstance(view, ClusterView) else None


def _accounts(view: View) -> Sequence[UsageSums]:
    usage = _usage(view)
    return usage.accounts if usage else ()


def _users(view: View) -> Sequence[UsageSums]:
    usage = _usage(view)
    return usage.users if usage else ()


def _clusters(view: View) -> Sequence[UsageView]:
    usage = _usage(view)
    return (usage,) if usage else ()


USAGE_ACCOUNT: Entity[UsageSums] = Entity(
    name="account's usage",
    group="accounts",
    labels=("cluster", "account"),
    of=_accounts,
    label_values=lambda view, sums: (cluster_of(view), sums.account),
)
USAGE_USER: Entity[UsageSums] = Entity(
    name="user's usage",
    group="users",
    labels=("cluster", "user", "account"),
    of=_users,
    label_values=lambda view, sums: (cluster_of(view), sums.user, sums.account),
)
USAGE_CLUSTER: Entity[UsageView] = Entity(
    name="cluster's usage",
    group="nodes",
    labels=("cluster",),
    of=_clusters,
    label_values=lambda view, _: (cluster_of(view),),
)


def _seconds(sums: UsageSums) -> Iterable[tuple[LabelValues, float]]:
    return sums.seconds.items()


def _states(usage: UsageView) -> Iterable[tuple[LabelValues, float]]:
    return usage.cluster.items()


FAMILIES: tuple[Family[Any], ...] = (
    Family(
        name="hpc_account_usage_seconds",
        help="TRES × seconds that jobs of the account and of all below it held in the window (mem in byte-seconds).",
        entity=USAGE_ACCOUNT, cost="accounts × TRES × 4–5 windows", source=_TABLES, labels=("tres", "window"),
        samples=_seconds,
    ),
    Family(
        name="hpc_user_usage_seconds",
        help="TRES × seconds that jobs of the user under the account held in the window of 30 days.",
        entity=USAGE_USER, cost="users active in 30 days × TRES", source=_TABLES, labels=("tres", "window"),
        samples=_seconds,
    ),
    Family(
        name="hpc_cluster_usage_seconds",
        help="TRES × seconds of the cluster by what they were (over: asked for beyond the capacity), from the window's "
        "begin to the last hour rolled up.",
        entity=USAGE_CLUSTER, cost="TRES × 6 states × 4–5 windows", source=_CLUSTER_TABLES,
        labels=("tres", "state", "window"), samples=_states,
    ),
    Family(
        name="hpc_cluster_usage_rolled_timestamp_seconds",
        help="Until when slurmdbd has rolled up the hours that the windows rest on.",
        entity=USAGE_CLUSTER, cost="1", source="slurmacct last_ran_table", value=lambda usage: usage.until,
    ),
)  # fmt: skip
