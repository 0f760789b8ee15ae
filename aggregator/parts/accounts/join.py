"""Who may use how much, and what was used?"""

from dataclasses import dataclass

import polars as pl

from aggregator.engine.frame import Frames, add_columns
from aggregator.engine.once import once
from aggregator.engine.part import Inputs
from aggregator.model.association import LEVELS, Associations, FairShareLevels
from aggregator.model.job_inputs import NO_RUNS, Runs
from aggregator.model.storage import Allocations
from aggregator.model.usage import UsageSums
from aggregator.parts.accounts.holdings import hold
from aggregator.parts.accounts.limits import account_limits, limited_tres, qos_limits, qos_limits_used, user_limits
from aggregator.parts.accounts.shares import counts_whole, with_fair_shares, with_shares
from aggregator.parts.accounts.tree import all_coordinators, ancestors, live_accounts, live_users


def join_accounts(frames: Frames, inputs: Inputs, at: float) -> Frames:
    """Join the associations with what the open runs hold, and with usage; awards and usage do not need them."""
    associations, usage = inputs.get(Associations), inputs.get(UsageSums)
    found = {"awards": _awards(inputs.get(Allocations)), **(_usage(usage) if usage else {})}
    if associations is None:
        return found
    known, levels = _known(associations), inputs.get(FairShareLevels)
    left = usage.left if usage and known.counts_whole else None
    rows = with_fair_shares(known.rows, left, levels.frame if levels else pl.DataFrame(schema=LEVELS))
    rows = _shown(rows, frames["users"])
    accounts, users = rows.filter(pl.col("user") == ""), rows.filter(pl.col("user") != "")
    holdings = hold(inputs.get(Runs) or NO_RUNS, users, known.above, known.limited_tres, at)
    limits = account_limits(accounts, known.above, associations, holdings, left)
    return {
        **found,
        "account_tree": accounts.sort("account"),
        "user_associations": users.sort("account", "user", "partition"),
        "account_limits": limits,
        "user_limits": user_limits(users, limits, associations, holdings, left),
        "qos": known.qos,
        "qos_limits": qos_limits(associations, holdings),
        "qos_limits_used": qos_limits_used(associations, holdings),
        "coordinators": known.coordinators,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What follows from the associations alone: the live ones with their shares (rows), who is above whom, and more."""

    rows: pl.DataFrame
    above: pl.DataFrame
    qos: pl.DataFrame
    coordinators: pl.DataFrame
    limited_tres: frozenset[str]
    counts_whole: bool


@once
def _known(associations: Associations) -> _Known:
    accounts, above = _accounts(associations)
    every = pl.concat([accounts, live_users(associations)], how="diagonal")
    return _Known(
        rows=with_shares(every, above),
        above=above,
        qos=associations.qos.sort("qos", "qos_id"),
        coordinators=all_coordinators(associations, accounts, above),
        limited_tres=limited_tres(associations),
        counts_whole=counts_whole(associations),
    )


def _accounts(associations: Associations) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the live accounts with their organization and all above each, and who is above whom in rows."""
    accounts = live_accounts(associations)
    above = ancestors(accounts)
    named = add_columns(accounts, associations.organizations.unique("account", keep="last"), on="account")
    lists = above.sort("distance").group_by("account", maintain_order=True).agg("above")
    return add_columns(named, lists, on="account").with_columns(pl.col("organization").fill_null("")), above


def _shown(rows: pl.DataFrame, active: pl.DataFrame) -> pl.DataFrame:
    """Say which associations are of users with open jobs, and which of these is shown: the one of every partition."""
    named = active.select("account", "user", is_active=True).unique()
    joined = add_columns(rows, named, on=["account", "user"]).with_columns(pl.col("is_active").fill_null(False))
    return joined.with_columns(is_shown=pl.col("is_active") & (pl.col("partition") == ""))


def _awards(allocations: Allocations | None) -> pl.DataFrame:
    awards = allocations.awards if allocations else {}
    rows = [(account, award.cpus, award.gpus) for account, award in awards.items()]
    names = {"account": pl.String, "award_cpus": pl.Float64, "award_gpus": pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row", strict=False)


def _usage(usage: UsageSums) -> Frames:
    return {
        "account_usage": usage.accounts,
        "user_usage": usage.users,
        "cluster_usage": usage.cluster,
        "usage": pl.DataFrame({"rolled_timestamp_seconds": [usage.until]}),
    }
