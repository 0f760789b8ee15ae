"""hpc_account_*: the account tree and awards, which exist whether or not the account has jobs."""

from collections.abc import Sequence

from aggregator.families.spec import Entity, Family, View, cluster_of
from aggregator.model.accounting import Account
from aggregator.model.storage import Award
from aggregator.model.view import ClusterView


def _accounts(view: View) -> Sequence[Account]:
    return tuple(view.tree.values()) if isinstance(view, ClusterView) else ()


def _awards(view: View) -> Sequence[tuple[str, Award]]:
    return tuple(view.awards.items()) if isinstance(view, ClusterView) else ()


TREE: Entity[Account] = Entity(
    name="account of the tree",
    group="accounts",
    labels=("cluster", "account"),
    of=_accounts,
    label_values=lambda view, account: (cluster_of(view), account.name),
)
AWARD: Entity[tuple[str, Award]] = Entity(
    name="account with an award",
    group="accounts",
    labels=("cluster", "account"),
    of=_awards,
    label_values=lambda view, award: (cluster_of(view), award[0]),
)

TREE_FAMILIES = (
    Family(
        name="hpc_account_info",
        help="The account's place in the tree, always 1.",
        entity=TREE,
        cost="accounts",
        source="slurmacct assoc_table parent_acct, acct_table organization",
        labels=("parent", "organization"),
        samples=lambda account: [((account.parent, account.organization), 1.0)],
    ),
)
AWARD_FAMILIES = (
    Family(
        name="hpc_account_award_cpus",
        help="CPUs awarded to the account on average over the year.",
        entity=AWARD,
        cost="accounts with an award",
        source="allocations file",
        value=lambda award: award[1].cpus,
    ),
    Family(
        name="hpc_account_award_gpus",
        help="GPUs awarded to the account on average over the year.",
        entity=AWARD,
        cost="accounts with an award",
        source="allocations file",
        value=lambda award: award[1].gpus,
    ),
)
