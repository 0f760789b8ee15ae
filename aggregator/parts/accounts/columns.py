"""The tables of accounts: the tree, awards, limits with what is used of them, and usage over windows."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from aggregator.engine.column import Column, Family, Sample, Table

_ACCOUNT: Final = {"account": "account"}
_USER: Final = {"user": "user", "account": "account"}
_LIMIT_LABELS: Final = ("limit", "tres")
_UNITS: Final = "in bytes for mem, seconds for GrpWall and MaxWall, resource-seconds for …Mins"
_DECAYED: Final = "slurmacct assoc_usage_{hour,day}_table (docs/accounts.md)"
_TABLES: Final = "slurmacct assoc_usage_{hour,day,month}_table, since the last roll-up job_table (docs/usage.md)"
_ALLOCATIONS: Final = "allocations file"


def _column(
    name: str, help: str, dtype: Any = pl.String, sample: Sample | None = None, null: str = "not known"
) -> Column:
    return Column(name=name, dtype=dtype, help=help, null=null, sample=sample)


def _gauge(name: str, family: str, help: str, cost: str, source: str, null: str = "not known") -> Column:
    shown = Sample(family=Family(name=family, help=help, cost=cost, source=source))
    return _column(name, help, pl.Float64, shown, null)


_OWNERS: Final = tuple(_column(name, f"The {name}.") for name in ("account", "user"))
_PARTITION: Final = _column("partition", "The partition, empty for the association of all that have none.")


def _association(whom: str, cost: str) -> Iterator[Column]:
    """Declare what accounts and users have alike."""
    of = whom.partition(" ")[0]
    level = Family(
        name=f"hpc_{of}_fairshare_level", cost=cost, labels=("source",),
        help=f"How the {whom} is served beside its level (level_fs of Fair Tree): above 1 under-served, below 1 "
        "over-served; absent where nothing was used, which is infinity.",
        source="slurm-exporter slurm_account_levelfs, else shares_ratio ÷ usage_ratio (docs/accounts.md)",
    )  # fmt: skip
    yield _column("association_id", "Key of the association.", pl.Int64)
    yield _column("shares", "Its shares.", pl.Int64, null="`parent`")
    yield _column("fairshare_level", level.help, pl.Float64,
                  Sample(family=level, label_columns={"source": "fairshare_source"}))  # fmt: skip
    yield _column("fairshare_source", "Who computed the level.", null="nobody")
    yield _gauge("usage_ratio", f"hpc_{of}_usage_ratio",
                 f"The decayed usage (billing) of the {whom} ÷ that of its parent.", cost, _DECAYED)  # fmt: skip
    for name, help in (("qos", "set here"), ("added_qos", "added here"), ("removed_qos", "taken away here")):
        yield _column(name, f"Ids of the QOS that are {help}.", pl.List(pl.Int64))


_SHARES: Final = "The account's part of the shares of its level, where accounts and users below one parent compete."
ACCOUNT_TREE: Final = Table(
    name="account_tree", of="account of the tree", collect="accounts", labels=_ACCOUNT,
    columns=(
        _column("account", "The account.", sample=Sample(constant=True, family=Family(
            name="hpc_account_info", help="The account's place in the tree, always 1.", cost="accounts",
            source="slurmacct assoc_table parent_acct, acct_table organization", labels=("parent", "organization")),
            label_columns={"parent": "parent", "organization": "organization"})),
        _column("parent", "The account above, empty for the root."),
        _column("organization", "Whose account it is, as sacctmgr has it."),
        _column("above", "The account and all above it, the nearest first.", pl.List(pl.String)),
        _gauge("shares_ratio", "hpc_account_shares_ratio", _SHARES, "accounts", "slurmacct assoc_table shares",
               "the root, or a level without shares"),
        *_association("account", "accounts"),
    ),
)  # fmt: skip
USER_ASSOCIATIONS: Final = Table(
    name="user_associations", of="user's association", collect="users", labels=_USER, where="is_shown",
    columns=(
        *_OWNERS, _PARTITION,
        _column("shares_ratio", "The part of the shares of its level.", pl.Float64, null="a level without shares"),
        *_association("user under the account", "active users"),
        _column("is_shown", "Whether it is of every partition, and its user has open jobs.", pl.Boolean),
    ),
)  # fmt: skip
_AWARD: Final = "{} awarded to the account on average over the year."
_WITH_AWARD: Final = "accounts with an award"
AWARDS: Final = Table(
    name="awards", of="account with an award", collect="accounts", labels=_ACCOUNT,
    columns=(
        _column("account", "The account."),
        _gauge("award_cpus", "hpc_account_award_cpus", _AWARD.format("CPUs"), _WITH_AWARD, _ALLOCATIONS, "no award"),
        _gauge("award_gpus", "hpc_account_award_gpus", _AWARD.format("GPUs"), _WITH_AWARD, _ALLOCATIONS, "no award"),
    ),
)  # fmt: skip
_KEY: Final = (
    _column("limit", "Name of the limit, as sacctmgr has it."),
    _column("tres", "What it limits, empty for a limit of jobs or time."),
)
_FROM_ACCOUNT: Final = _column("from_account", "The account at which it is set.")
_USED: Final = "What is used of the limit, in its unit."


def _limit(of: str, of_whom: str, cost: str) -> tuple[Column, ...]:
    """Declare a limit, and what is used of it."""
    limit = Family(
        name=f"hpc_{of}_limit", help=f"Limit {of_whom}, {_UNITS}; 0 lets nothing run.", cost=cost,
        source="slurmacct assoc_table", labels=_LIMIT_LABELS, adds_up=False,
    )  # fmt: skip
    used = Family(
        name=f"hpc_{of}_limit_used", cost=f"{cost}, at most", labels=_LIMIT_LABELS, adds_up=False,
        help="What is used of the limit, in its unit: by open jobs, for GrpTRESMins what has not decayed; absent "
        "for limits of one job and where it is not known.",
        source="slurmacct job_table tres_alloc, timelimit; assoc_usage_{hour,day}_table (docs/accounts.md)",
    )  # fmt: skip
    named = {label: label for label in _LIMIT_LABELS}
    return (
        *_KEY,
        _column("value", limit.help, pl.Float64, Sample(family=limit, label_columns=named)),
        _column(
            "used", used.help, pl.Float64, Sample(family=used, label_columns=named), "a limit of one job, or unknown"
        ),
    )


ACCOUNT_LIMITS: Final = Table(
    name="account_limits", of="limit of an account", collect="accounts", labels=_ACCOUNT, where="is_group",
    columns=(
        _column("account", "The account."),
        *_limit("account", "on the account with all accounts below it together", "Grp* limits set on accounts"),
        _FROM_ACCOUNT,
        _column("is_group", "Whether it holds for all below together; else for each user by itself.", pl.Boolean),
    ),
)  # fmt: skip
USER_LIMITS: Final = Table(
    name="user_limits", of="limit of a user's association", collect="users", labels=_USER, where="is_shown",
    columns=(
        *_OWNERS, _PARTITION,
        *_limit("user", "of the user under the account, set there or inherited", "active users × their limits"),
        _FROM_ACCOUNT,
        _column("from_user", "The user at whose association it is set, empty for an account's."),
        _column("is_shown", "Whether it is of every partition, and its user has open jobs.", pl.Boolean),
    ),
)  # fmt: skip
_QOS_ID: Final = _column("qos_id", "Key of the QOS.", pl.Int64)
_QOS: Final = _column("qos", "Name of the QOS.")
QOS: Final = Table(
    name="qos", of="QOS", collect="accounts", labels={},
    columns=(_QOS_ID, _QOS, _column("priority", "Its priority.", pl.Int64)),
)  # fmt: skip
QOS_LIMITS: Final = Table(
    name="qos_limits", of="limit of a QOS", collect="accounts", labels={},
    columns=(
        _QOS_ID, _QOS, *_KEY, _column("value", "The limit, in base units.", pl.Float64),
        _column("used", f"{_USED[:-1]}, by all its jobs.", pl.Float64, null="not a limit of all jobs, or unknown"),
    ),
)  # fmt: skip
QOS_LIMITS_USED: Final = Table(
    name="qos_limits_used", of="account or user who uses a limit of a QOS", collect="accounts", labels={},
    columns=(_QOS_ID, *_OWNERS, *_KEY, _column("used", _USED, pl.Float64)),
)  # fmt: skip
COORDINATORS: Final = Table(
    name="coordinators", of="coordinator of an account", collect="accounts", labels={}, columns=_OWNERS
)


def _usage(name: str, of: str, collect: str, labels: dict[str, str], family: Family) -> Table:
    """Declare usage by TRES and window."""
    owners = tuple(_column(each, f"The {each}.") for each in labels)
    named = {label: label for label in family.labels}
    return Table(
        name=name, of=f"{of}'s usage", collect=collect, labels=labels,
        columns=(
            *owners,
            *(_column(label, f"The {label}.") for label in family.labels),
            _column("seconds", family.help, pl.Float64, Sample(family=family, label_columns=named)),
        ),
    )  # fmt: skip


ACCOUNT_USAGE: Final = _usage("account_usage", "account", "accounts", _ACCOUNT, Family(
    name="hpc_account_usage_seconds",
    help="TRES × seconds that jobs of the account and of all below it held in the window (mem in byte-seconds).",
    # An account has what is below it, too.
    cost="accounts × TRES × 4–5 windows", source=_TABLES, labels=("tres", "window"), adds_up=False,
))  # fmt: skip
USER_USAGE: Final = _usage("user_usage", "user", "users", _USER, Family(
    name="hpc_user_usage_seconds",
    help="TRES × seconds that jobs of the user under the account held in the window of 30 days.",
    cost="users active in 30 days × TRES", source=_TABLES, labels=("tres", "window"),
))  # fmt: skip
CLUSTER_USAGE: Final = _usage("cluster_usage", "cluster", "nodes", {}, Family(
    name="hpc_cluster_usage_seconds",
    help="TRES × seconds of the cluster by what they were (over: asked for beyond the capacity), from the window's "
    "begin to the last hour rolled up.",
    cost="TRES × 6 states × 4–5 windows", source="slurmacct usage_{hour,day,month}_table (docs/usage.md)",
    labels=("tres", "state", "window"),
))  # fmt: skip
USAGE: Final = Table(
    name="usage", of="cluster's usage", collect="nodes", labels={},
    columns=(
        _gauge("rolled_timestamp_seconds", "hpc_cluster_usage_rolled_timestamp_seconds",
               "Until when slurmdbd has rolled up the hours that the windows rest on.", "1",
               "slurmacct last_ran_table"),
    ),
)  # fmt: skip
TABLES: Final = (
    ACCOUNT_TREE, AWARDS, ACCOUNT_LIMITS, USER_LIMITS, USER_ASSOCIATIONS, QOS, QOS_LIMITS, QOS_LIMITS_USED,
    COORDINATORS, ACCOUNT_USAGE, USER_USAGE, CLUSTER_USAGE, USAGE,
)  # fmt: skip
