"""Which limits hold for an account, for a user in it and for a QOS, and what is used of them?

As slurmctld does it: Grp* limits hold at every level for everything below; the others are inherited from the nearest
association that sets them and hold for each user's association by itself; a QOS that sets a limit has its own instead.
"""

from typing import Final

import polars as pl

from aggregator.model.association import GROUP, USED_TRES_SECONDS, Associations
from aggregator.model.usage import LeftUsage
from aggregator.parts.accounts.holdings import OWNER, Holdings, with_used

_KEY: Final = ("limit", "tres")
_IS_GROUP: Final = pl.col("limit").str.starts_with(GROUP)
_NOBODY: Final = pl.lit("")
_ASSOCIATION: Final = ("account", "user", "partition")


def limited_tres(associations: Associations) -> frozenset[str]:
    """Name the TRES of which there are limits."""
    return frozenset(associations.limits["tres"]) | frozenset(associations.qos_limits["tres"])


def account_limits(
    accounts: pl.DataFrame, above: pl.DataFrame, associations: Associations, holdings: Holdings, left: LeftUsage | None
) -> pl.DataFrame:
    """Give the Grp* limits that are set on accounts, with what all below use, and the others that hold in an account.

    Of the others an account's own Max* are what its users have: nothing is used of them by the account.
    """
    limits = _set(accounts, associations).sort("account", *_KEY)
    own = limits.filter(_IS_GROUP).with_columns(qos=_NOBODY, from_account="account")
    used = _with_left(with_used(own, holdings), left.accounts if left else None, left, "account")
    return pl.concat([used, inherited(limits, above)], how="diagonal").with_columns(is_group=_IS_GROUP)


def inherited(limits: pl.DataFrame, above: pl.DataFrame) -> pl.DataFrame:
    """Give the limits that users of each account inherit, TRES by TRES from the nearest account that sets them."""
    set_above = limits.filter(~_IS_GROUP).select("value", *_KEY, above="account")
    nearest = above.join(set_above, on="above").sort("distance").unique(["account", *_KEY], keep="first")
    return nearest.sort("account", *_KEY).select("account", *_KEY, "value", from_account="above")


def user_limits(
    users: pl.DataFrame,
    of_accounts: pl.DataFrame,
    associations: Associations,
    holdings: Holdings,
    left: LeftUsage | None,
) -> pl.DataFrame:
    """Give the limits that are set on users' associations, and those that users with jobs inherit (is_active)."""
    own = _set(users, associations).with_columns(from_account="account", from_user="user")
    # Users are many, and most have no job: of what they inherit nothing is used.
    active = users.filter("is_active").select("association_id", *_ASSOCIATION, "is_shown")
    above = of_accounts.filter(~_IS_GROUP).select("account", *_KEY, "value", "from_account")
    taken = active.join(above, on="account").join(own, on=["association_id", *_KEY], how="anti")
    limits = pl.concat([own, taken.with_columns(from_user=_NOBODY)], how="diagonal").with_columns(qos=_NOBODY)
    used = with_used(limits.sort(*_ASSOCIATION, *_KEY), holdings)
    return _with_left(used, left.associations if left else None, left, "association_id")


def _set(rows: pl.DataFrame, associations: Associations) -> pl.DataFrame:
    return rows.select("association_id", *_ASSOCIATION, "is_shown").join(associations.limits, on="association_id")


def _with_left(limits: pl.DataFrame, seconds: pl.DataFrame | None, left: LeftUsage | None, owner: str) -> pl.DataFrame:
    """Put what is left of past usage where limits are used by that; what is missing of a TRES that is known is 0."""
    if left is None or seconds is None:
        return limits
    joined = limits.join(seconds, on=[owner, "tres"], how="left", maintain_order="left")
    is_left = (pl.col("limit") == USED_TRES_SECONDS) & pl.col("tres").is_in(list(left.tres))
    used = pl.when(is_left).then(pl.col("seconds").fill_null(0.0)).otherwise("used")
    return joined.with_columns(used=used).drop("seconds")


def qos_limits(associations: Associations, holdings: Holdings) -> pl.DataFrame:
    """Give the limits that are set on each QOS, with what all its jobs use of those on the group."""
    limits = _limits_of_qos(associations).with_columns(account=_NOBODY, user=_NOBODY, partition=_NOBODY)
    used = with_used(limits, holdings).with_columns(used=pl.when(_IS_GROUP).then("used"))
    return used.select("qos_id", "qos", *_KEY, "value", "used").sort("qos", "qos_id", *_KEY)


def qos_limits_used(associations: Associations, holdings: Holdings) -> pl.DataFrame:
    """Give what accounts and users with open jobs of a QOS use of its limits PerAccount and PerUser."""
    owners = holdings.owners.filter((pl.col("qos") != "") & (pl.col("partition") == "")).select(OWNER)
    suffix = pl.when(pl.col("user") != "").then(pl.lit("PerUser")).when(pl.col("account") != "").then(
        pl.lit("PerAccount")
    )  # fmt: skip
    found = owners.with_columns(suffix=suffix).join(_limits_of_qos(associations), on="qos")
    used = with_used(found.filter(pl.col("limit").str.ends_with(pl.col("suffix"))), holdings)
    return used.select("qos_id", "account", "user", *_KEY, "used")


def _limits_of_qos(associations: Associations) -> pl.DataFrame:
    return associations.qos_limits.join(associations.qos.select("qos_id", "qos"), on="qos_id")
