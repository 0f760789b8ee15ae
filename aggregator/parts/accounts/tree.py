"""Who is above whom in the account tree?"""

import polars as pl

from aggregator.model.association import Associations


def live_accounts(associations: Associations) -> pl.DataFrame:
    """Give the associations of accounts that are not deleted (ASSOCIATIONS), one per account."""
    return associations.rows.filter(~pl.col("deleted") & (pl.col("user") == "")).unique("account", keep="last")


def live_users(associations: Associations) -> pl.DataFrame:
    """Give the associations of users that are not deleted (ASSOCIATIONS), one per account, user and partition."""
    users = associations.rows.filter(~pl.col("deleted") & (pl.col("user") != ""))
    return users.unique(["account", "user", "partition"], keep="last")


def ancestors(parents: pl.DataFrame) -> pl.DataFrame:
    """Give each account with itself and all above it: account, above, distance (0 for itself).

    parents has account and parent, "" for the root. Each is there once, so that a tree that loops ends.
    """
    following = parents.select(above="account", parent="parent")
    step = parents.select("account", above="account", distance=pl.lit(0, dtype=pl.Int64))
    found = step
    while not step.is_empty():
        higher = step.join(following, on="above").filter(pl.col("parent") != "")
        step = higher.select("account", above="parent", distance=pl.col("distance") + 1)
        step = step.join(found, on=["account", "above"], how="anti")
        found = pl.concat([found, step])
    return found


def all_coordinators(associations: Associations, accounts: pl.DataFrame, above: pl.DataFrame) -> pl.DataFrame:
    """Tell who coordinates which account (COORDINATORS): those who are named, and every user where the flag is set.

    The flag of an account (USERS_ARE_COORDINATORS) counts for those below it too.
    """
    flagged = accounts.filter("users_are_coordinators").select(above="account")
    below = above.join(flagged, on="above", how="semi").select("account").unique()
    users = live_users(associations).join(below, on="account", how="semi").select("account", "user")
    return pl.concat([associations.coordinators, users]).unique().sort("account", "user")
